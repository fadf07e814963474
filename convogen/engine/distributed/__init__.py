"""Tasks done by workers on a Ray cluster: conversations played, or scored by a judge.

A worker is a process that does tasks: the chats, the checks, the requests over HTTP, everything
that takes processor time. All that must be decided once stays in the process that was started (the
driver): it sends each worker its tasks, admits every attempt at a call (rates, concurrency, budget,
circuit breaker: `models/traffic`, unchanged), journals each answer as it arrives, and commits in
the order of the plan, with the gates that look at the corpus. So a cluster has the limits of one
process to the call, and the data set, or the scores, are those of one process to the byte.

    messages        what the driver and a worker tell each other
    playing_work    a run's tasks: what a worker is sent, and what it does with it
    judging_work    a judge's scores: the same
    worker          does tasks of either; knows nothing of Ray
    worker_folder   what it keeps on disk, and what killed workers left there
    worker_traffic  its model calls, admitted by the driver
    driver          who does which tasks and lineages; what becomes of a dead worker's
    slots           the places of workers, and the tasks in their hands
    driver_calls    the workers' calls, in the driver's traffic
    ray_cluster     Ray's workers: the actor, and those who start it
    ray_spread      batches of a corpus measured in Ray's tasks
    ray_connection  a connection to Ray, the only importer of it with the two above
"""
