-- Foreign keys, views, functions, roles' rights: what the laboratory has beside its rows.
alter table lab.patient add foreign key (medecin_id) references lab.medecin (id);
alter table lab.prescription add foreign key (patient_id) references lab.patient (id);
alter table lab.prescription add foreign key (medecin_id) references lab.medecin (id);
alter table lab.echantillon
  add foreign key (prescription_id) references lab.prescription (id);
alter table lab.echantillon add foreign key (patient_id) references lab.patient (id);
alter table lab.resultat add foreign key (patient_id) references lab.patient (id);
alter table lab.resultat add foreign key (echantillon_id) references lab.echantillon (id);
alter table lab.resultat add foreign key (analyse_code) references lab.analyse (code);
alter table lab.resultat add foreign key (entered_by) references lab.app_user (id);
alter table lab.commentaire_pathologie
  add foreign key (patient_id) references lab.patient (id);
alter table lab.facture add foreign key (patient_id) references lab.patient (id);

create view lab.v_patient_resultat as
  select
    p.id as patient_id, p.nir, p.last_name, p.first_name, p.birth_date, r.id as resultat_id,
    r.analyse_code, a.libelle, r.value, r.value_text, r.unit, r.flag, r.validated_at
  from lab.patient p
  join lab.resultat r on r.patient_id = p.id
  join lab.analyse a on a.code = r.analyse_code;
create view lab.v_worklist as
  select e.id, e.barcode, e.status, e.collected_at, p.last_name, p.first_name
  from lab.echantillon e
  join lab.patient p on p.id = e.patient_id;
-- An innocent name with patients behind it: only the catalog tells.
create view lab.v_stock_tubes as
  select nir as ref_tube, last_name || ' ' || first_name as libelle_tube, postcode as rayon
  from lab.patient;
create materialized view lab.mv_patient as
  select id, nir, last_name, first_name, birth_date, city, phone from lab.patient;
create unique index on lab.mv_patient (id);
create materialized view lab.mv_stats_mois as
  select date_trunc('month', validated_at) as mois, analyse_code, count(*) as n, avg(value) as moyenne
  from lab.resultat
  group by 1, 2;

create function lab.search_patient(q text)
returns table (id bigint, nir char(15), last_name text, first_name text, birth_date date)
language plpgsql stable security definer set search_path = lab, pg_temp as $$
begin
  return query execute
    'select p.id, p.nir, p.last_name, p.first_name, p.birth_date from lab.patient p
     where p.last_name ilike $1 or p.nir like $1' using q || '%';
end $$;
create function lab.export_patients() returns setof lab.patient
language sql stable security definer as $$ select * from lab.patient $$;
create function lab.f_inline(d date) returns setof lab.patient
language sql stable as $$ select * from lab.patient where birth_date >= d $$;
create function lab.patient_json(pid bigint) returns json language sql stable as $$
  select row_to_json(x) from (
    select p.*, (select json_agg(r) from lab.resultat r where r.patient_id = p.id) resultats
    from lab.patient p where p.id = pid
  ) x
$$;
create function lab.lab_json(lim int default null) returns jsonb
language plpgsql stable security definer as $$
begin
  return (select jsonb_agg(to_jsonb(p)) from (select * from lab.patient limit lim) p);
end $$;
create function lab.age(d date) returns int
language sql immutable as $$ select (current_date - d) / 365 $$;
create procedure lab.valider(rid bigint, uid int) language plpgsql as $$
begin
  update lab.resultat set status = 'validated', validated_by = uid, validated_at = now()
  where id = rid;
end $$;
create function lab.audit_trg() returns trigger language plpgsql security definer as $$
begin
  insert into lab.audit (action, patient_id, detail)
  values (tg_op, new.patient_id, jsonb_build_object('resultat', new.id));
  return new;
end $$;
create trigger resultat_audit after update on lab.resultat
  for each row execute function lab.audit_trg();

alter role dba superuser;
alter role backup replication;
grant usage on schema lab
  to lims_app, biologist, secretary, billing, dashboard, export_job, backup;
grant select, insert, update, delete on all tables in schema lab to lims_app;
grant usage, select on all sequences in schema lab to lims_app, biologist, secretary, billing;
grant usage, create on schema staging to lims_app, export_job;
grant create, temp on database lab to lims_app;
grant select on all tables in schema lab to biologist, backup;
grant update on lab.resultat to biologist;
grant insert on lab.commentaire_pathologie, lab.audit to biologist, secretary;
grant select, insert, update on lab.patient, lab.prescription, lab.echantillon to secretary;
grant select on lab.medecin, lab.analyse, lab.v_worklist to secretary, billing;
grant select, update on lab.facture to billing;
grant select on lab.patient, lab.prescription to billing;
grant select on lab.mv_stats_mois, lab.analyse, lab.qc_mesure, lab.resultat, lab.echantillon,
  lab.facture to dashboard;
grant select on lab.patient, lab.resultat, lab.analyse, lab.medecin, lab.echantillon,
  lab.prescription to export_job;
grant pg_read_all_data to backup;
alter database lab set search_path = lab, public;

comment on database lab is 'Synthetic laboratory made by Vigie''s generator: no real person.';
comment on table lab.patient is
  'Synthetic patients made by Vigie''s generator: names, NIR, addresses and phone numbers are invented.';
comment on table lab.resultat is 'Synthetic results made by Vigie''s generator.';
comment on table lab.medecin is 'Synthetic prescribers made by Vigie''s generator.';
