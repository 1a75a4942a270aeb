-- A hospital's laboratory by an international vendor: English names in camelCase, foreign keys in
-- several steps, a partitioned table, a domain, documents in JSON, comments. All data is invented.
create schema clinical;
create schema ref;
set search_path = clinical;
create domain clinical.email_t as varchar(120);
create table clinical.person (
  "personId" uuid primary key default gen_random_uuid(), mrn varchar(20) unique not null, "familyName" text,
  "givenNames" text, "dateOfBirth" date, gender varchar(8), "homeAddress" text, zip varchar(10), "cityName" text,
  "mobilePhone" varchar(24), contact_email clinical.email_t, "maritalStatus" text, "deathDate" date,
  "createdAt" timestamptz default now(), "isActive" boolean default true
);
create table clinical.physician ("physicianId" uuid primary key default gen_random_uuid(), "lastName" text, "firstName" text, phone text, email text);
create table clinical.encounter (
  "encounterId" bigint primary key, "personId" uuid not null references clinical.person, "physicianId" uuid references clinical.physician,
  "admittedAt" timestamptz, ward text, diagnosis text, "icd10Code" text
);
create table clinical.specimen ("specimenId" bigint primary key, "encounterId" bigint references clinical.encounter, barcode text, "specimenType" text);
create table ref.test_catalog ("testCode" text primary key, "testName" text, unit text);
create table clinical.lab_result (
  "resultId" bigint not null, "specimenId" bigint, subject uuid not null, "testCode" text references ref.test_catalog,
  "resultValue" text, "abnormalFlag" text, units text, "reportedAt" timestamptz not null
) partition by range ("reportedAt");
alter table clinical.lab_result add foreign key (subject) references clinical.person;
create table clinical.lab_result_2025 partition of clinical.lab_result for values from ('2025-01-01') to ('2026-01-01');
create table clinical.lab_result_rest partition of clinical.lab_result default;
create table clinical.medication ("medicationId" bigint primary key, "personId" uuid references clinical.person, drug text, dosage text, "startedOn" date);
create table clinical.document ("documentId" bigint primary key, "personId" uuid references clinical.person, "mimeType" text, body jsonb);
create table clinical.insurance_link (person_ref uuid references clinical.person, ss_no varchar(21), attr_7 text, payer_code text);
comment on column clinical.insurance_link.attr_7 is 'IBAN of the insured';
create table clinical.staff_account (id bigint primary key, username text, "fullName" text, email text, "birthDate" date);
create table clinical.supplier (id bigint primary key, name text, address text, phone text, email text);
create table clinical.device (id bigint primary key, name text, "serialNumber" text, value numeric);
create materialized view clinical.mv_contacts as select "personId" as p, "givenNames" || ' ' || "familyName" as display, "mobilePhone" as m from clinical.person;
create view clinical.v_latest as select c.display, r."testCode" as t, r."resultValue" as v from clinical.mv_contacts c join clinical.lab_result r on r.subject = c.p;

insert into clinical.person (mrn, "familyName", "givenNames", "dateOfBirth", gender, "homeAddress", zip, "cityName", "mobilePhone", contact_email)
  select 'M' || i, 'Family' || i, 'Given' || i, date '1935-01-01' + i * 80, case when i % 2 = 0 then 'female' else 'male' end, i || ' Test Road',
  lpad((1000 + i * 37 % 90000)::text, 5, '0'), 'Town' || i % 7, '+336' || lpad((i * 104729 % 100000000)::text, 8, '0'), 'p' || i || '@example.test'
  from generate_series(1, 300) i;
insert into clinical.physician ("lastName", "firstName", phone, email) select 'Doc' || i, 'F' || i, '0145000001', 'd' || i || '@example.test' from generate_series(1, 9) i;
insert into clinical.encounter select row_number() over (), "personId", null, now(), 'A', 'fever', 'J10' from clinical.person;
insert into clinical.specimen select i, 1 + i % 300, 'B' || i, 'blood' from generate_series(1, 300) i;
insert into ref.test_catalog select 'T' || i, 'Test ' || i, 'g/L' from generate_series(1, 9) i;
insert into clinical.lab_result select row_number() over (), 1, "personId", 'T1', '5', 'H', 'g/L', now() from clinical.person;
insert into clinical.document select row_number() over (), "personId", 'application/json', jsonb_build_object('to', contact_email, 'note', 'x') from clinical.person;
insert into clinical.insurance_link select "personId", '1 84 12 76 451 089 46', null, 'X' from clinical.person;
insert into clinical.staff_account select i, 'u' || i, 'Staff ' || i, 'u' || i || '@example.test', date '1980-01-01' from generate_series(1, 9) i;
analyze;
