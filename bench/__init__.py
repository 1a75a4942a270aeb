"""The benchmark: PostgreSQL alone, behind pgbouncer and behind Vigie, side by side in one run."""
