-- A laboratory as one finds it after a migration from another system: names in capitals and cut
-- short, few foreign keys, copies that somebody made. All data is invented.
create schema "LABO";
set search_path = "LABO";
create table "T_PAT" (
  "PAT_ID" integer primary key, "IPP" varchar(12) unique, "NUM_SS" varchar(15), "NOM_NAIS" varchar(60),
  "NOM_MAR" varchar(60), "PRN1" varchar(40), "DDN" date, "CIV" char(3), "SX" char(1),
  "ADR1" varchar(80), "ADR2" varchar(80), "CPOS" char(5), "VIL" varchar(60), "TEL_DOM" varchar(20),
  "TEL_PORT" varchar(20), "MEL" varchar(80), "COD_CAIS" varchar(9), "MED_TT_ID" integer,
  "DT_CRE" timestamp, "TOP_ACT" char(1)
);
create table "T_MED" (
  "MED_ID" integer primary key, "NUM_RPPS" char(11), "NOM" varchar(60), "PRENOM" varchar(40),
  "TEL" varchar(20), "SPEC" varchar(10)
);
create table "T_DEM" (
  "DEM_ID" bigint primary key, "PAT_ID" integer references "T_PAT", "MED_ID" integer references "T_MED",
  "DT_DEM" date, "RENS_CLIN" text, "URG" char(1)
);
create table "T_REF_ANA" ("COD_ANA" varchar(8) primary key, "LIB_ANA" varchar(80), "UNITE" varchar(12));
create table "T_RES" (
  "RES_ID" bigint primary key, "DEM_ID" bigint references "T_DEM", "ID_PAT" integer,
  "COD_ANA" varchar(8) references "T_REF_ANA", "VAL_NUM" numeric, "VAL_TXT" text, "INTERP" text,
  "BINF" numeric, "BSUP" numeric, "VALID_PAR" varchar(30), "DT_VALID" timestamp
);
create table "T_FACT" (
  "FAC_ID" bigint primary key, "NO_PAT" integer, "MT" numeric, "IBAN_REMB" varchar(34), "DT_FAC" date
);
create table "COPIE_2019" ("F1" varchar(15), "F2" varchar(60), "F3" date, "F4" varchar(20), "F5" integer);
create table "J_TRACE" ("TS" timestamp, "UTIL" varchar(20), "PAT_ID" integer, "MSG" text);
create table "T_UTIL" ("UTIL_ID" integer primary key, "LOGIN" varchar(20), "NOM" varchar(60), "MEL" varchar(80));
create view "V_ETIQ" as select "NOM_NAIS" || ' ' || "PRN1" as "L1", "DDN" as "L2", "NUM_SS" as "CB" from "T_PAT";
create view "V_ACT" as select "COD_ANA", count(*) as "NB" from "T_RES" group by "COD_ANA";

-- NIRs whose keys are right: 97 - number modulo 97
create function pg_temp.nir(i int) returns text language sql as $$
  select body || lpad((97 - body::bigint % 97)::text, 2, '0')
  from (select (1 + i % 2)::text || lpad((i % 90 + 10)::text, 2, '0') || lpad((1 + i % 12)::text, 2, '0')
    || lpad((1 + i % 90)::text, 2, '0') || lpad((1 + i % 800)::text, 3, '0') || lpad((1 + i % 990)::text, 3, '0') as body) x
$$;
insert into "T_PAT" select i, 'P' || lpad(i::text, 8, '0'), pg_temp.nir(i), 'NOM' || i, case when i % 3 = 0 then 'MAR' || i end,
  'Prenom' || i, date '1930-01-01' + i * 90, case when i % 2 = 0 then 'MME' else 'M' end, case when i % 2 = 0 then 'F' else 'M' end,
  i || ' rue des Tests', null, lpad((1000 + i * 37 % 90000)::text, 5, '0'), 'Ville' || i % 9, '02' || lpad((i * 7919 % 100000000)::text, 8, '0'),
  '06' || lpad((i * 104729 % 100000000)::text, 8, '0'), 'p' || i || '@example.test', '01' || i % 9, 1 + i % 20, now(), 'O'
  from generate_series(1, 300) i;
insert into "T_MED" select i, lpad((10000000000 + i)::text, 11, '0'), 'DOC' || i, 'Pr' || i, '0145' || lpad(i::text, 6, '0'), 'GEN' from generate_series(1, 20) i;
insert into "T_DEM" select i, 1 + i % 300, 1 + i % 20, current_date - i, 'suivi', 'N' from generate_series(1, 600) i;
insert into "T_REF_ANA" select 'A' || i, 'Analyse ' || i, 'g/L' from generate_series(1, 20) i;
insert into "T_RES" select i, 1 + i % 600, 1 + i % 300, 'A' || (1 + i % 20), i % 9, null, null, 1, 5, 'u1', now() from generate_series(1, 900) i;
insert into "T_FACT" select i, 1 + i % 300, 10, null, current_date from generate_series(1, 300) i;
insert into "COPIE_2019" select pg_temp.nir(i), 'NOM' || i, date '1930-01-01' + i * 90, '06' || lpad((i * 104729 % 100000000)::text, 8, '0'), i from generate_series(1, 300) i;
insert into "J_TRACE" select now(), 'u1', 1 + i % 300, 'ouverture du dossier de NOM' || i || ' (' || pg_temp.nir(i) || ')' from generate_series(1, 200) i;
insert into "T_UTIL" select i, 'u' || i, 'Util ' || i, 'u' || i || '@example.test' from generate_series(1, 9) i;
analyze;
