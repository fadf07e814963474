"""Run tasks in workers on a Ray cluster: play conversations, or score them with a judge.

A worker is a process that runs tasks: the chats, the checks, the HTTP requests, everything that
takes processor time. All decisions that must be made once stay in the process that the user started
(the driver): it sends each worker its tasks, admits every attempt at a call (rates, concurrency,
budget, circuit breaker: `models/traffic`, unchanged), journals each answer as it arrives, and
commits in the order of the plan, after the gates that compare with the rest of the corpus. So all
limits hold for a cluster exactly as for one process, and the data set or the scores are
byte-identical to those of one process.

    messages        the messages between the driver and a worker
    playing_work    a run's tasks: what a worker receives, and how it plays them
    judging_work    a judge's scores: what a worker receives, and how it makes them
    worker          runs the tasks of either kind; independent of Ray
    worker_folder   a worker's files on disk, and the cleanup after killed workers
    worker_traffic  a worker's model calls, admitted by the driver
    driver          assigns tasks and lineages to workers, and reassigns those of a dead worker
    slots           worker slots, and the tasks assigned to them
    driver_calls    the workers' calls within the driver's traffic
    ray_cluster     workers as Ray actors, and the code that starts them
    ray_spread      batches of a corpus measured in Ray tasks
    ray_connection  the connection to Ray; only this module and the two above import Ray
"""
