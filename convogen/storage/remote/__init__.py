"""Run folders on an object store, or on any other file system that fsspec opens.

A run is played in a local working folder, so that the guarantees for local run folders hold here
too. The changes of the folder are written to the store as a chain of numbered, immutable parts:

    <url>/.convogen/parts/00000000     one part: all changes of the folder since the previous part
    <url>/.convogen/parts/00000001
    <url>/manifest.json  <url>/…       the files themselves, once the run is complete

A part takes the folder from one consistent state to the next. It is written in a single put, and
only if no object has its name yet (`If-None-Match: *` on S3). Nothing is renamed, and no part is
ever replaced. So a crash between two writes leaves a chain that ends one part earlier; and if two
writers have read the same chain, only one can write the next part, and the other stops.

    address    URLs, what is refused in them, and the file systems behind them
    objects    reads objects, and creates them only if they do not exist yet
    parts      the format of a part
    snapshot   finds the changes of a folder, and applies them to another folder
    copies     local copies in the user's cache: restores or updates them
    mirror     the writer of a chain
    shown      shows URLs instead of the paths of local copies
    mirrors    the entry points: open a copy, write to one, flush while an event loop runs
"""
