"""Run folders on an object store, or on any other file system that fsspec can open.

A run is executed in a local working folder, so the guarantees for local run folders apply here too.
The changes to the folder are written to the store as a chain of numbered, immutable parts:

    <url>/.convogen/parts/00000000     one part: all changes to the folder since the previous part
    <url>/.convogen/parts/00000001
    <url>/manifest.json  <url>/…       the files themselves, once the run is complete

A part brings the folder from one consistent state to the next. It is written in a single request,
and only if no object has its name yet (`If-None-Match: *` on S3). Nothing is renamed, and no part
is ever replaced. A crash between two writes therefore leaves a chain that ends one part earlier. If
two writers have read the same chain, only one of them can write the next part, and the other stops.

    address    checks URLs, and opens the file systems behind them
    objects    reads objects, and creates them only if they do not exist yet
    parts      the format of a part
    snapshot   finds the changes to a folder, and applies them to another folder
    copies     restores and updates local copies in the user's cache
    mirror     writes a chain
    shown      shows URLs instead of the paths of local copies
    mirrors    the entry points: open a copy, write to a copy, flush while an event loop runs
"""
