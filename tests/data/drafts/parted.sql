-- A record system in which a person is in many tables: names, addresses and identifiers apart, and
-- observations by concept. Empty: by names, types and foreign keys alone.
create table public.person (person_id serial primary key, gender varchar(50), birthdate date, dead boolean, death_date timestamp, cause_of_death int, uuid char(38), creator int);
create table public.patient (patient_id int primary key references person, allergy_status varchar(50), creator int);
create table public.person_name (person_name_id serial primary key, preferred boolean, person_id int references person, prefix varchar(50), given_name varchar(50), middle_name varchar(50), family_name varchar(50), family_name2 varchar(50), degree varchar(50));
create table public.person_address (person_address_id serial primary key, person_id int references person, address1 varchar(255), address2 varchar(255), city_village varchar(255), state_province varchar(255), postal_code varchar(50), country varchar(50));
create table public.patient_identifier (patient_identifier_id serial primary key, patient_id int references patient, identifier varchar(50), identifier_type int);
create table public.users (user_id serial primary key, username varchar(50), password varchar(128), email varchar(255));
create table public.provider (provider_id serial primary key, name varchar(255), identifier varchar(255));
create table public.concept (concept_id serial primary key, short_name varchar(255), description text);
create table public.encounter (encounter_id serial primary key, patient_id int references patient, encounter_datetime timestamp, location_id int);
create table public.obs (obs_id serial primary key, person_id int references person, concept_id int references concept, encounter_id int references encounter, value_numeric numeric, value_text text, comments varchar(255), interpretation varchar(32));
create table public.allergy (allergy_id serial primary key, patient_id int references patient, non_coded_allergen varchar(255), comments varchar(1024));
create view public.v_pat as select n.given_name as g, n.family_name as f, p.birthdate as b from person_name n join person p using (person_id);
