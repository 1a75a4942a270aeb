"""The catalog of the laboratory schema that the tests use, as ``CATALOG_QUERY`` gave it.

Read on PostgreSQL 15 by the application's role; kept as text so that unit tests need no server.
"""

from __future__ import annotations

from typing import Final

from proxy.sql.catalog_build import build_catalog
from proxy.terms.column_class import ColumnClass
from proxy.terms.relation import Column, Function, Relation
from proxy.terms.schema_map import MappedFunction, SchemaMap

# oid schema.name kind: column:type ...
_RELATIONS: Final = """
16387 lab.app_user r: id:23 login:25 role_name:25 full_name:25 password_hash:25 active:16
16397 lab.medecin r: id:23 rpps:1042 last_name:25 first_name:25 specialite:25 city:25 phone:25
  email:25
16406 lab.patient r: id:20 nir:1042 last_name:25 first_name:25 birth_date:1082 sex:1042 address:25
  postcode:1042 city:25 phone:25 email:25 mutuelle:25 medecin_id:23 created_at:1184
16424 lab.prescription r: id:20 patient_id:20 medecin_id:23 prescribed_on:1082 renseignements:25
  urgent:16
16443 lab.echantillon r: id:20 prescription_id:20 patient_id:20 barcode:25 nature:25
  collected_at:1184 received_at:1184 status:25
16465 lab.analyse r: code:25 libelle:25 unite:25 ref_low:1700 ref_high:1700 nabm:25 b_coef:23
16472 lab.resultat r: id:20 patient_id:20 echantillon_id:20 analyse_code:25 value:1700
  value_text:25 unit:25 ref_low:1700 ref_high:1700 flag:1042 status:25 entered_by:23
  validated_by:23 validated_at:1184
16503 lab.resultat_urgent r: id:20 patient_id:20 echantillon_id:20 analyse_code:25 value:1700
  value_text:25 unit:25 ref_low:1700 ref_high:1700 flag:1042 status:25 entered_by:23
  validated_by:23 validated_at:1184 circuit:25
16509 lab.commentaire_pathologie r: id:20 patient_id:20 author_id:23 texte:25 cim10:25
  created_at:1184
16522 lab.facture r: id:20 patient_id:20 prescription_id:20 mois:1082 montant:1700 acte_codes:1009
  payeur:25 status:25
16537 lab.audit_id_seq S:
16538 lab.audit r: id:20 at:1184 actor:25 action:25 patient_id:20 detail:3802
16548 lab.qc_mesure r: id:20 automate:25 analyse_code:25 niveau:23 value:1700 cible:1700 et:1700
  at:1184
16560 lab.resultat_archive p: id:20 patient_id:20 analyse_code:25 value:1700 unit:25
  validated_at:1184
16563 lab.resultat_archive_2019 r: id:20 patient_id:20 analyse_code:25 value:1700 unit:25
  validated_at:1184
16568 lab.resultat_archive_2020 r: id:20 patient_id:20 analyse_code:25 value:1700 unit:25
  validated_at:1184
16573 lab.resultat_archive_2021 r: id:20 patient_id:20 analyse_code:25 value:1700 unit:25
  validated_at:1184
16578 lab.resultat_archive_def r: id:20 patient_id:20 analyse_code:25 value:1700 unit:25
  validated_at:1184
16583 lab.v_patient_resultat v: patient_id:20 nir:1042 last_name:25 first_name:25 birth_date:1082
  resultat_id:20 analyse_code:25 libelle:25 value:1700 value_text:25 unit:25 flag:1042
  validated_at:1184
16588 lab.v_worklist v: id:20 barcode:25 status:25 collected_at:1184 last_name:25 first_name:25
16592 lab.v_stock_tubes v: ref_tube:1042 libelle_tube:25 rayon:1042
16596 lab.mv_patient m: id:20 nir:1042 last_name:25 first_name:25 birth_date:1082 city:25 phone:25
16603 lab.mv_stats_mois m: mois:1184 analyse_code:25 n:20 moyenne:1700
"""
# relation: what its rule reads
_SOURCES: Final = """
16583 16406
16583 16465
16583 16472
16588 16406
16588 16443
16592 16406
16596 16406
16603 16472
"""
# parent child
_CHILDREN: Final = """
16472 16503
16560 16563
16560 16568
16560 16573
16560 16578
"""
# relation column, and what it references, by number
_REFERENCES: Final = """
16406 13 16397 1
16424 2 16406 1
16424 3 16397 1
16443 3 16406 1
16443 2 16424 1
16472 2 16406 1
16509 2 16406 1
16522 2 16406 1
"""
# oid schema.name kind volatility language definer
_FUNCTIONS: Final = """
16609 lab.search_patient f s plpgsql t
16610 lab.export_patients f s sql t
16611 lab.f_inline f s sql f
16612 lab.patient_json f s sql f
16613 lab.lab_json f s plpgsql t
16614 lab.age f i sql f
16615 lab.valider p v plpgsql f
16616 lab.audit_trg f v plpgsql t
"""
_EXTENSION_FUNCTIONS: Final = {
    "dblink": """
        dblink dblink_build_sql_delete dblink_build_sql_insert dblink_build_sql_update
        dblink_cancel_query dblink_close dblink_connect dblink_connect_u dblink_current_query
        dblink_disconnect dblink_error_message dblink_exec dblink_fdw_validator dblink_fetch
        dblink_get_connections dblink_get_notify dblink_get_pkey dblink_get_result
        dblink_is_busy dblink_open dblink_send_query
    """,
    "postgres_fdw": """
        postgres_fdw_disconnect postgres_fdw_disconnect_all postgres_fdw_get_connections
        postgres_fdw_handler postgres_fdw_validator
    """,
    "pg_trgm": """
        gin_extract_query_trgm gin_extract_value_trgm gin_trgm_consistent gin_trgm_triconsistent
        gtrgm_compress gtrgm_consistent gtrgm_decompress gtrgm_distance gtrgm_in gtrgm_options
        gtrgm_out gtrgm_penalty gtrgm_picksplit gtrgm_same gtrgm_union set_limit show_limit
        show_trgm similarity similarity_dist similarity_op strict_word_similarity
        strict_word_similarity_commutator_op strict_word_similarity_dist_commutator_op
        strict_word_similarity_dist_op strict_word_similarity_op word_similarity
        word_similarity_commutator_op word_similarity_dist_commutator_op word_similarity_dist_op
        word_similarity_op
    """,
    "tablefunc": """
        connectby crosstab crosstab2 crosstab3 crosstab4 normal_rand
    """,
    "file_fdw": """
        file_fdw_handler file_fdw_validator
    """,
    "xml2": """
        xml_encode_special_chars xml_valid xpath_bool xpath_list xpath_nodeset xpath_number
        xpath_string xpath_table xslt_process
    """,
    "pageinspect": """
        brin_metapage_info brin_page_items brin_page_type brin_revmap_data bt_metap
        bt_page_items bt_page_stats fsm_page_contents get_raw_page gin_leafpage_items
        gin_metapage_info gin_page_opaque_info gist_page_items gist_page_items_bytea
        gist_page_opaque_info hash_bitmap_info hash_metapage_info hash_page_items
        hash_page_stats hash_page_type heap_page_item_attrs heap_page_items
        heap_tuple_infomask_flags page_checksum page_header tuple_data_split
    """,
    "lo": """
        lo_manage lo_oid
    """,
}
_EXTENSION_OPERATORS: Final = {
    "pg_trgm": "% %> <% <-> <->> <<-> %>> <<% <->>> <<<->",
}


def _results() -> list[list[list[str | None]]]:
    relations: list[list[str | None]] = []
    columns: list[list[str | None]] = []
    for line in _RELATIONS.replace("\n  ", " ").strip().splitlines():
        head, _, listed = line.partition(":")
        oid, name, kind = head.split()
        schema, _, bare = name.partition(".")
        relations.append([oid, schema, bare, kind, "p"])
        for number, column in enumerate(listed.split(), 1):
            column_name, _, type_oid = column.partition(":")
            columns.append([oid, str(number), column_name, type_oid])
    functions: list[list[str | None]] = []
    for line in _FUNCTIONS.strip().splitlines():
        oid, name, *rest = line.split()
        schema, _, bare = name.partition(".")
        functions.append([oid, schema, bare, *rest, ""])
    next_oid = 17000
    for extension, names in _EXTENSION_FUNCTIONS.items():
        for name in names.split():
            functions.append([str(next_oid), "public", name, "f", "v", "c", "f", extension])
            next_oid += 1
    operators: list[list[str | None]] = [
        ["public", name, extension]
        for extension, names in _EXTENSION_OPERATORS.items()
        for name in names.split()
    ]
    return [
        [["pg_catalog\nlab\npublic", "lims_app", "150018"]],
        relations,
        columns,
        [list(line.split()) for line in _SOURCES.strip().splitlines()],
        [list(line.split()) for line in _CHILDREN.strip().splitlines()],
        functions,
        [],
        operators,
        [[""]],
        [list(line.split()) for line in _REFERENCES.strip().splitlines()],
    ]


_CLASSES: Final = {
    "patient": {
        "key": "id",
        "identity": "nir last_name first_name address phone email",
        "quasi": "birth_date sex postcode city",
    },
    "prescription": {"key": "patient_id", "health": "renseignements"},
    "echantillon": {"key": "patient_id"},
    "resultat": {"key": "patient_id", "health": "value value_text flag"},
    "resultat_archive": {"key": "patient_id", "health": "value"},
    "commentaire_pathologie": {"key": "patient_id", "health": "texte cim10"},
    "facture": {"key": "patient_id", "health": "acte_codes"},
    "audit": {"key": "patient_id", "identity": "detail"},
    "v_patient_resultat": {
        "key": "patient_id",
        "identity": "nir last_name first_name",
        "quasi": "birth_date",
        "health": "value value_text flag",
    },
    "v_worklist": {"identity": "last_name first_name"},
    "mv_patient": {
        "key": "id",
        "identity": "nir last_name first_name phone",
        "quasi": "birth_date city",
    },
    "mv_stats_mois": {"none": "mois analyse_code n moyenne"},
}


def lab_map() -> SchemaMap:
    """Return the schema map of the laboratory. v_stock_tubes is left out on purpose."""
    classes: dict[Column, ColumnClass] = {}
    keys: dict[Column, str] = {}
    for name, by_class in _CLASSES.items():
        for class_name, columns in by_class.items():
            for column in columns.split():
                term = Column(Relation("lab", name), column)
                classes[term] = ColumnClass(class_name)
                if class_name == "key":
                    keys[term] = "patient.id"
                elif column == "nir":
                    keys[term] = "patient.nir"
    found = {
        "id": ColumnClass.KEY,
        "nir": ColumnClass.IDENTITY,
        "last_name": ColumnClass.IDENTITY,
        "first_name": ColumnClass.IDENTITY,
        "birth_date": ColumnClass.QUASI,
    }
    return SchemaMap(
        subject_relations=frozenset(
            Relation("lab", name) for name in _CLASSES if name != "mv_stats_mois"
        ),
        classes=classes,
        keys=keys,
        functions={
            Function("lab", "age"): MappedFunction(harmless=True),
            Function("lab", "valider"): MappedFunction(harmless=True),
            Function("lab", "search_patient"): MappedFunction(
                columns=found, keys={"id": "patient.id", "nir": "patient.nir"}
            ),
            Function("lab", "patient_json"): MappedFunction(
                subject_argument=1, key_space="patient.id"
            ),
        },
    )


LAB_MAP: Final = lab_map()
LAB_RESULTS: Final = _results()
LAB: Final = build_catalog(LAB_RESULTS, LAB_MAP)
