"""`tok history`: what is stored, listed, read, taken out, brought in and erased."""
