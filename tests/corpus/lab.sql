-- The laboratory of the corpus: 20,000 invented patients, the same at every load (setseed).
--   psql -X -v ON_ERROR_STOP=1 -d lab -f lab.sql         as superuser, for PostgreSQL 13 and later
--   psql -v npat=2000 ...                                another number of patients
\set ON_ERROR_STOP on
\if :{?npat} \else \set npat 20000 \endif
set client_min_messages=warning;
drop schema if exists lab cascade;
drop schema if exists staging cascade;
create schema lab;
create schema staging;            -- writable scratch area many LIMS leave open to the app role

create table lab.app_user(
  id int primary key, login text unique not null, role_name text not null, full_name text, password_hash text, active bool default true);
create table lab.medecin(
  id int primary key, rpps char(11) unique not null, last_name text, first_name text, specialite text, city text, phone text, email text);
create table lab.patient(
  id bigint primary key, nir char(15) unique not null, last_name text not null, first_name text not null,
  birth_date date not null, sex char(1) not null, address text, postcode char(5), city text,
  phone text, email text, mutuelle text, medecin_id int references lab.medecin(id),
  created_at timestamptz default now());
create index on lab.patient(lower(last_name), lower(first_name));
create index on lab.patient(birth_date);
create index on lab.patient(medecin_id);
create table lab.prescription(
  id bigint primary key, patient_id bigint not null references lab.patient(id), medecin_id int not null references lab.medecin(id),
  prescribed_on date not null, renseignements text, urgent bool default false);
create index on lab.prescription(patient_id);
create table lab.echantillon(
  id bigint primary key, prescription_id bigint not null references lab.prescription(id), patient_id bigint not null references lab.patient(id),
  barcode text unique not null, nature text, collected_at timestamptz not null, received_at timestamptz, status text not null default 'received');
create index on lab.echantillon(patient_id);
create index on lab.echantillon(collected_at);
create table lab.analyse(
  code text primary key, libelle text not null, unite text, ref_low numeric, ref_high numeric, nabm text, b_coef int);
create table lab.resultat(
  id bigint primary key, patient_id bigint not null references lab.patient(id), echantillon_id bigint references lab.echantillon(id),
  analyse_code text not null references lab.analyse(code), value numeric, value_text text, unit text, ref_low numeric, ref_high numeric,
  flag char(1), status text not null default 'validated', entered_by int references lab.app_user(id), validated_by int, validated_at timestamptz);
create index on lab.resultat(patient_id);
create index on lab.resultat(validated_at);
create index on lab.resultat(analyse_code, validated_at);
create table lab.resultat_urgent(circuit text) inherits (lab.resultat);          -- inheritance child
create table lab.commentaire_pathologie(
  id bigint primary key, patient_id bigint not null references lab.patient(id), author_id int, texte text not null, cim10 text, created_at timestamptz);
create index on lab.commentaire_pathologie(patient_id);
create table lab.facture(
  id bigint primary key, patient_id bigint not null references lab.patient(id), prescription_id bigint, mois date not null, montant numeric(8,2),
  acte_codes text[], payeur text, status text default 'a_emettre');
create index on lab.facture(mois);
create index on lab.facture(patient_id);
create table lab.audit(
  id bigserial primary key, at timestamptz default now(), actor text default current_user, action text, patient_id bigint, detail jsonb);
create table lab.qc_mesure(id bigint primary key, automate text, analyse_code text references lab.analyse(code), niveau int, value numeric, cible numeric, et numeric, at timestamptz);

create table lab.resultat_archive(
  id bigint not null, patient_id bigint not null, analyse_code text not null, value numeric, unit text, validated_at timestamptz not null
) partition by range (validated_at);
create table lab.resultat_archive_2019 partition of lab.resultat_archive for values from ('2019-01-01') to ('2020-01-01');
create table lab.resultat_archive_2020 partition of lab.resultat_archive for values from ('2020-01-01') to ('2021-01-01');
create table lab.resultat_archive_2021 partition of lab.resultat_archive for values from ('2021-01-01') to ('2022-01-01');
create table lab.resultat_archive_def  partition of lab.resultat_archive default;

select setseed(0.42);
insert into lab.app_user select i, 'u'||i, (array['biologist','secretary','billing','technician'])[1+i%4], 'User '||i, md5('pw'||i) from generate_series(1,40) i;
insert into lab.medecin select i, lpad((10000000000+i*7919)::text,11,'0'),
  (array['ROUSSEL','GARNIER','LAMBERT','FAURE','MERCIER','BLANC','GUERIN','MULLER','HENRY','ROUX'])[1+i%10]||i,
  (array['Anne','Paul','Luc','Marie','Jean','Claire'])[1+i%6], (array['generaliste','gynecologue','cardiologue','oncologue'])[1+i%4],
  (array['Rennes','Vannes','Lorient','Quimper','Brest'])[1+i%5], '02'||lpad((i*317%100000000)::text,8,'0'), 'dr'||i||'@example.test' from generate_series(1,300) i;
insert into lab.analyse values
 ('718-7','Hemoglobine','g/dL',12,16,'1104',27),('4544-3','Hematocrite','%',36,46,'1104',27),('6690-2','Leucocytes','10*9/L',4,10,'1104',27),
 ('777-3','Plaquettes','10*9/L',150,400,'1104',27),('2345-7','Glucose','g/L',0.7,1.1,'0552',5),('4548-4','HbA1c','%',4,6,'1577',28),
 ('2160-0','Creatinine','mg/L',6,12,'0592',7),('2093-3','Cholesterol total','g/L',1.4,2.4,'0585',7),('2571-8','Triglycerides','g/L',0.4,1.5,'0590',7),
 ('1742-6','ALAT','U/L',5,40,'0522',7),('1920-8','ASAT','U/L',5,40,'0516',7),('3016-3','TSH','mUI/L',0.4,4,'1208',27),
 ('2857-1','PSA','ng/mL',0,4,'7318',43),('1988-5','CRP','mg/L',0,5,'1804',9),('94500-6','SARS-CoV-2 PCR',null,null,null,'5271',85),
 ('75622-1','HIV 1+2 Ag+Ab',null,null,null,'0388',52),('5196-1','HBs Ag',null,null,null,'0322',65),('19080-1','hCG','UI/L',0,5,'7402',55),
 ('2276-4','Ferritine','ng/mL',20,300,'0888',38),('30522-7','CRP us','mg/L',0,3,'1804',9);
insert into lab.patient
select i,
  s.sx || lpad((extract(year from s.bd)::int%100)::text,2,'0') || lpad(extract(month from s.bd)::text,2,'0') || lpad((22+i%74)::text,2,'0') || lpad((i%990)::text,3,'0') || lpad((i/990%1000)::text,3,'0') || lpad((97-(i%97))::text,2,'0'),
  (array['MARTIN','BERNARD','DUBOIS','THOMAS','ROBERT','RICHARD','PETIT','DURAND','LEROY','MOREAU','SIMON','LAURENT','LEFEBVRE','MICHEL','GARCIA','DAVID','BERTRAND','ROUX','VINCENT','FOURNIER','MOREL','GIRARD','ANDRE','LEFEVRE','MERCIER','DUPONT','BONNET','LAMBERT','FONTAINE','ROUSSEAU'])[1+floor(random()*30)::int]||case when i%7=0 then '-'||(array['LE GALL','TANGUY','KERMAREC','L''HOSTIS'])[1+i%4] else '' end,
  (array['Marie','Jean','Pierre','Camille','Louis','Emma','Lea','Hugo','Chloe','Ines','Jules','Louise','Adam','Alice','Nathan','Zoe','Paul','Sarah','Tom','Anna','Yann','Soizic','Gwenael','Noemie'])[1+floor(random()*24)::int],
  s.bd, case s.sx when '1' then 'M' else 'F' end,
  (1+i%180)||' '||(array['rue des Lilas','avenue Foch','rue de la Paix','bd Solferino','impasse du Port','rue Pasteur'])[1+i%6],
  (array['35000','56000','56100','29000','29200','22000'])[1+i%6], (array['Rennes','Vannes','Lorient','Quimper','Brest','Saint-Brieuc'])[1+i%6],
  '06'||lpad((i*7919%100000000)::text,8,'0'), 'patient'||i||'@example.test',
  (array['MGEN','Harmonie','AG2R','Malakoff',null])[1+i%5], 1+i%300
from (select i, date '1930-01-01' + (random()*31000)::int bd, case when random()<0.48 then '1' else '2' end sx from generate_series(1,:npat) i) s;
insert into lab.prescription select i, 1+(i*7)%:npat, 1+i%300, current_date-(i%3650), case when i%9=0 then 'suspicion anemie' when i%11=0 then 'suivi oncologique' when i%13=0 then 'grossesse' end, i%20=0 from generate_series(1,:npat*2) i;
insert into lab.echantillon select p.id, p.id, p.patient_id, 'BC'||lpad(p.id::text,10,'0'), (array['sang','urine','naso-pharynge'])[1+p.id%3], p.prescribed_on+time '08:00'+(p.id%240)*interval '1 min', p.prescribed_on+time '12:00', case when p.prescribed_on=current_date then 'received' else 'closed' end from lab.prescription p;
insert into lab.resultat
select e.id*5+k, e.patient_id, e.id, a.code, round((coalesce(a.ref_low,0)+random()*coalesce(a.ref_high-a.ref_low,1)*1.3)::numeric,2), case when a.unite is null then case when random()<0.07 then 'positif' else 'negatif' end end, a.unite, a.ref_low, a.ref_high, null,
 case when e.status='received' then 'to_validate' else 'validated' end, 1+(e.id%40)::int, case when e.status<>'received' then 1+(e.id%10)::int end, case when e.status<>'received' then e.collected_at+interval '6 hours' end
from lab.echantillon e cross join generate_series(0,4) k join (select code,unite,ref_low,ref_high,row_number() over (order by code)-1 rn from lab.analyse) a on a.rn=(e.id*3+k*7)%20;
update lab.resultat set flag=case when value>ref_high then 'H' when value<ref_low then 'L' else 'N' end where ref_high is not null;
insert into lab.resultat_urgent select 100000000+i, 1+i%:npat, null, '1988-5', 5+i%90, null,'mg/L',0,5,'H','validated',1,1,now()-i*interval '1 hour','samu' from generate_series(1,2000) i;
insert into lab.resultat_archive select i, 1+i%:npat, '718-7', 12+i%5, 'g/dL', timestamptz '2019-01-01'+(i%1400)*interval '1 day' from generate_series(1,:npat*2) i;
insert into lab.commentaire_pathologie select i, 1+(i*3)%:npat, 1+i%10, (array['Anemie ferriprive, controle ferritine','Diabete de type 2 desequilibre','Suivi carcinome mammaire, traitement en cours','Serologie VIH positive connue, charge virale indetectable','Grossesse 12 SA','Hypothyroidie sous levothyrox','Leucemie lymphoide chronique'])[1+i%7]||' (dossier '||i||')', (array['D50','E11','C50','B24','Z34','E03','C91'])[1+i%7], now()-(i%3000)*interval '1 day' from generate_series(1,:npat*3/4) i;
insert into lab.facture select p.id, p.patient_id, p.id, date_trunc('month',p.prescribed_on)::date, 12+(p.id%90), array['1104','0552'], (array['CPAM35','CPAM56','MGEN','patient'])[1+p.id%4], case when p.prescribed_on>current_date-60 then 'a_emettre' else 'payee' end from lab.prescription p;
insert into lab.audit(at,actor,action,patient_id,detail) select now()-i*interval '1 min','lims_app','consultation',1+i%:npat,jsonb_build_object('nom',p.last_name,'nir',p.nir) from generate_series(1,5000) i join lab.patient p on p.id=1+i%:npat;
insert into lab.qc_mesure select i,(array['XN1000','COBAS','ARCHITECT'])[1+i%3],(select code from lab.analyse order by code offset i%14 limit 1),1+i%3,10+random(),10.4,0.3,now()-i*interval '1 hour' from generate_series(1,3000) i;

create view lab.v_patient_resultat as
 select p.id patient_id,p.nir,p.last_name,p.first_name,p.birth_date,r.id resultat_id,r.analyse_code,a.libelle,r.value,r.value_text,r.unit,r.flag,r.validated_at
 from lab.patient p join lab.resultat r on r.patient_id=p.id join lab.analyse a on a.code=r.analyse_code;
create view lab.v_worklist as select e.id,e.barcode,e.status,e.collected_at,p.last_name,p.first_name from lab.echantillon e join lab.patient p on p.id=e.patient_id;
create view lab.v_stock_tubes as select nir as ref_tube, last_name||' '||first_name as libelle_tube, postcode as rayon from lab.patient;   -- innocent name, patient content
create materialized view lab.mv_patient as select id,nir,last_name,first_name,birth_date,city,phone from lab.patient;
create unique index on lab.mv_patient(id);
create materialized view lab.mv_stats_mois as select date_trunc('month',validated_at) mois,analyse_code,count(*) n,avg(value) moyenne from lab.resultat group by 1,2;
create function lab.search_patient(q text) returns table(id bigint,nir char(15),last_name text,first_name text,birth_date date) language plpgsql stable security definer set search_path=lab,pg_temp as
$$ begin return query execute 'select p.id,p.nir,p.last_name,p.first_name,p.birth_date from lab.patient p where p.last_name ilike $1 or p.nir like $1' using q||'%'; end $$;
create function lab.export_patients() returns setof lab.patient language sql stable security definer as $$ select * from lab.patient $$;
create function lab.f_inline(d date) returns setof lab.patient language sql stable as $$ select * from lab.patient where birth_date>=d $$;   -- inlinable: EXPLAIN sees through
create function lab.patient_json(pid bigint) returns json language sql stable as $$ select row_to_json(x) from (select p.*,(select json_agg(r) from lab.resultat r where r.patient_id=p.id) resultats from lab.patient p where p.id=pid) x $$;
create function lab.lab_json(lim int default null) returns jsonb language plpgsql stable security definer as $$ begin return (select jsonb_agg(to_jsonb(p)) from (select * from lab.patient limit lim) p); end $$;
create function lab.age(d date) returns int language sql immutable as $$ select (current_date-d)/365 $$;
create procedure lab.valider(rid bigint, uid int) language plpgsql as $$ begin update lab.resultat set status='validated',validated_by=uid,validated_at=now() where id=rid; end $$;
create function lab.audit_trg() returns trigger language plpgsql security definer as $$ begin insert into lab.audit(action,patient_id,detail) values(tg_op,new.patient_id,jsonb_build_object('resultat',new.id)); return new; end $$;
create trigger resultat_audit after update on lab.resultat for each row execute function lab.audit_trg();

do $$ declare r text; begin
 foreach r in array array['lims_app','biologist','secretary','billing','dashboard','export_job','backup','dba'] loop
  if not exists(select 1 from pg_roles where rolname=r) then execute format('create role %I login',r); end if; end loop; end $$;
alter role dba superuser; alter role backup replication;
grant usage on schema lab to lims_app,biologist,secretary,billing,dashboard,export_job,backup;
grant select,insert,update,delete on all tables in schema lab to lims_app;
grant usage,select on all sequences in schema lab to lims_app,biologist,secretary,billing;
grant usage,create on schema staging to lims_app,export_job;
do $$ begin execute format('grant create,temp on database %I to lims_app', current_database()); end $$;
grant select on all tables in schema lab to biologist,backup;
grant update on lab.resultat to biologist; grant insert on lab.commentaire_pathologie,lab.audit to biologist,secretary;
grant select,insert,update on lab.patient,lab.prescription,lab.echantillon to secretary; grant select on lab.medecin,lab.analyse,lab.v_worklist to secretary,billing;
grant select,update on lab.facture to billing; grant select on lab.patient,lab.prescription to billing;
grant select on lab.mv_stats_mois,lab.analyse,lab.qc_mesure,lab.resultat,lab.echantillon,lab.facture to dashboard;
grant select on lab.patient,lab.resultat,lab.analyse,lab.medecin,lab.echantillon,lab.prescription to export_job;
grant pg_read_all_data to backup;
-- Those that are installed; an attack that needs another one cannot be tried.
select format('create extension if not exists %I', name) from pg_available_extensions
 where name in ('dblink','postgres_fdw','pg_trgm','tablefunc','file_fdw','xml2','pageinspect','lo') \gexec
do $$ begin execute format('alter database %I set search_path=lab,public', current_database()); end $$;
analyze;
