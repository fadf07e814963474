"""Run folders on an object store, or on any other file system that fsspec opens.

A run is played in a local working folder, so that everything that keeps a run folder consistent
holds as it does for a local one. What the folder gains is written to the store as a chain of
numbered, immutable parts:

    <url>/.convogen/parts/00000000     one part: all changes of the folder since the part before
    <url>/.convogen/parts/00000001
    <url>/manifest.json  <url>/…       the files themselves, once the run is complete

A part takes the folder from one consistent state to the next, is written in one put, and only if no
object has its name yet (`If-None-Match: *` on S3). Nothing is renamed, and no part is ever
replaced. So a crash between any two writes leaves a chain that ends one part earlier; and of two
writers that have read the same chain only one can write the next part: the other one stops.

    address    URLs, what is refused in them, and the file systems behind them
    objects    reading, and creating only what is not there yet
    parts      the format of a part
    snapshot   what a folder has gained, and applying it to another folder
    copies     local copies in the user's cache: restored, or brought up to date
    mirror     the writer of a chain
    shown      URLs in place of the paths of local copies
    mirrors    the entry points: open a copy, write into one, flush while an event loop runs
"""
