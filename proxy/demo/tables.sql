-- The tables of the synthetic laboratory, as one finds them behind a laboratory's information
-- system: no anonymous view, one schema, an application role that may read everything.
-- Loaded before the rows; objects.sql makes the rest after them.
create schema lab;
create schema staging; -- scratch area that the application may write

create table lab.app_user (
  id int primary key,
  login text unique not null,
  role_name text not null,
  full_name text,
  password_hash text,
  active bool default true
);
create table lab.medecin (
  id int primary key,
  rpps char(11) unique not null,
  last_name text,
  first_name text,
  specialite text,
  city text,
  phone text,
  email text
);
create table lab.patient (
  id bigint,
  nir char(15) not null,
  last_name text not null,
  first_name text not null,
  birth_date date not null,
  sex char(1) not null,
  address text,
  postcode char(5),
  city text,
  phone text,
  email text,
  mutuelle text,
  medecin_id int,
  created_at timestamptz default now()
);
create table lab.prescription (
  id bigint,
  patient_id bigint not null,
  medecin_id int not null,
  prescribed_on date not null,
  renseignements text,
  urgent bool default false
);
create table lab.echantillon (
  id bigint,
  prescription_id bigint not null,
  patient_id bigint not null,
  barcode text not null,
  nature text,
  collected_at timestamptz not null,
  received_at timestamptz,
  status text not null default 'received'
);
create table lab.analyse (
  code text primary key, -- LOINC
  libelle text not null,
  unite text,
  ref_low numeric,
  ref_high numeric,
  nabm text,
  b_coef int
);
create table lab.resultat (
  id bigint,
  patient_id bigint not null,
  echantillon_id bigint,
  analyse_code text not null,
  value numeric,
  value_text text,
  unit text,
  ref_low numeric,
  ref_high numeric,
  flag char(1),
  status text not null default 'validated',
  entered_by int,
  validated_by int,
  validated_at timestamptz
);
create table lab.resultat_urgent (circuit text) inherits (lab.resultat);
create table lab.commentaire_pathologie (
  id bigint,
  patient_id bigint not null,
  author_id int,
  texte text not null,
  cim10 text,
  created_at timestamptz
);
create table lab.facture (
  id bigint,
  patient_id bigint not null,
  prescription_id bigint,
  mois date not null,
  montant numeric(8, 2),
  acte_codes text[],
  payeur text,
  status text default 'a_emettre'
);
create table lab.audit (
  id bigserial primary key,
  at timestamptz default now(),
  actor text default current_user,
  action text,
  patient_id bigint,
  detail jsonb
);
create table lab.qc_mesure (
  id bigint primary key,
  automate text,
  analyse_code text references lab.analyse (code),
  niveau int,
  value numeric,
  cible numeric,
  et numeric,
  at timestamptz
);
create table lab.resultat_archive (
  id bigint not null,
  patient_id bigint not null,
  analyse_code text not null,
  value numeric,
  unit text,
  validated_at timestamptz not null
) partition by range (validated_at);
create table lab.resultat_archive_2019 partition of lab.resultat_archive
  for values from ('2019-01-01') to ('2020-01-01');
create table lab.resultat_archive_2020 partition of lab.resultat_archive
  for values from ('2020-01-01') to ('2021-01-01');
create table lab.resultat_archive_2021 partition of lab.resultat_archive
  for values from ('2021-01-01') to ('2022-01-01');
create table lab.resultat_archive_def partition of lab.resultat_archive default;
