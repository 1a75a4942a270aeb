"""Ways out or in that are not rows of the result."""

from __future__ import annotations

from typing import Final

from proxy.terms.facts import SideDoor

_BY_NAME: Final[dict[SideDoor, str]] = {
    SideDoor.FILE: """
        pg_read_file pg_read_file_v2 pg_read_file_old pg_read_binary_file pg_read_file_off_len
        pg_ls_dir pg_ls_logdir pg_ls_waldir pg_ls_archive_statusdir pg_ls_tmpdir
        pg_ls_logicalmapdir pg_ls_logicalsnapdir pg_ls_replslotdir pg_stat_file lo_import
        lo_export pg_file_read pg_file_write pg_file_rename pg_file_unlink pg_file_sync
        pg_logdir_ls pg_current_logfile""",
    SideDoor.LARGE_OBJECT: """
        lo_creat lo_create lo_open lo_close lo_get lo_put lo_from_bytea lo_unlink lo_lseek
        lo_lseek64 lo_tell lo_tell64 lo_truncate lo_truncate64 loread lowrite lo_import lo_export
        lo_manage""",
    SideDoor.REMOTE: """
        dblink dblink_connect dblink_connect_u dblink_exec dblink_open dblink_fetch dblink_close
        dblink_send_query dblink_get_result dblink_get_connections dblink_is_busy
        dblink_get_notify dblink_error_message dblink_cancel_query dblink_disconnect
        dblink_get_pkey dblink_build_sql_insert dblink_build_sql_delete dblink_build_sql_update
        dblink_fdw_validator postgres_fdw_handler postgres_fdw_validator
        postgres_fdw_get_connections postgres_fdw_disconnect postgres_fdw_disconnect_all""",
    SideDoor.SQL_TEXT: """
        query_to_xml query_to_xmlschema query_to_xml_and_xmlschema cursor_to_xml
        cursor_to_xmlschema table_to_xml table_to_xmlschema table_to_xml_and_xmlschema
        schema_to_xml schema_to_xmlschema schema_to_xml_and_xmlschema database_to_xml
        database_to_xmlschema database_to_xml_and_xmlschema ts_stat crosstab crosstab2 crosstab3
        crosstab4 crosstab_hash connectby connectby_text connectby_text_serial xpath_table""",
    SideDoor.REPLICATION: """
        pg_create_logical_replication_slot pg_create_physical_replication_slot
        pg_copy_logical_replication_slot pg_copy_physical_replication_slot
        pg_drop_replication_slot pg_logical_slot_get_changes pg_logical_slot_peek_changes
        pg_logical_slot_get_binary_changes pg_logical_slot_peek_binary_changes
        pg_logical_emit_message pg_replication_slot_advance pg_replication_origin_create
        pg_replication_origin_drop pg_replication_origin_session_setup
        pg_replication_origin_session_reset pg_replication_origin_xact_setup
        pg_replication_origin_xact_reset pg_replication_origin_advance""",
    SideDoor.STATISTICS: "pg_mcv_list_items",
    SideDoor.RAW_PAGES: """
        get_raw_page page_header page_checksum heap_page_items heap_page_item_attrs
        heap_tuple_infomask_flags tuple_data_split fsm_page_contents bt_metap bt_page_stats
        bt_multi_page_stats bt_page_items brin_page_type brin_metapage_info brin_revmap_data
        brin_page_items gin_metapage_info gin_page_opaque_info gin_leafpage_items
        gist_page_opaque_info gist_page_items gist_page_items_bytea hash_page_type
        hash_page_stats hash_page_items hash_bitmap_info hash_metapage_info
        pg_get_wal_record_info pg_get_wal_records_info pg_get_wal_block_info
        pg_get_wal_records_info_till_end_of_wal""",
}
DOORS: Final[dict[str, frozenset[SideDoor]]] = {}
for _door, _names in _BY_NAME.items():
    for _name in _names.split():
        DOORS[_name] = DOORS.get(_name, frozenset()) | {_door}

_PREFIXES: Final = (
    ("pg_ls_", SideDoor.FILE),
    ("dblink", SideDoor.REMOTE),
    ("postgres_fdw", SideDoor.REMOTE),
    ("pg_logical_slot_", SideDoor.REPLICATION),
    ("pg_replication_origin_", SideDoor.REPLICATION),
)
_HARMLESS: Final = frozenset({"pg_replication_origin_progress", "pg_replication_origin_oid"})


def doors_of_function(name: str) -> frozenset[SideDoor]:
    """Return the side doors that a function of this name opens, whatever its schema."""
    found = DOORS.get(name)
    if found is not None:
        return found
    if name in _HARMLESS:
        return frozenset()
    return frozenset(door for prefix, door in _PREFIXES if name.startswith(prefix))
