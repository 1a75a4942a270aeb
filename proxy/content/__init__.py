"""What leaves, looked at as bytes: canaries in any form. No I/O, no SQL, no opinion."""
