"""Speed, measured beside other ways to call objects of another process. README.md tells how to run and read it."""
