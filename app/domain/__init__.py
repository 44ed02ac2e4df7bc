"""Values shared by every floor: they know no UI, no SQL, no process and no native library."""
