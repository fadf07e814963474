"""Execution of tasks, which play or score conversations, in workers on a Ray cluster.

A worker is a process that runs tasks. It does everything that takes processor time, such as the
chats, the checks and the HTTP requests. Decisions that must be made only once stay in the process
that the user started (the driver). The driver sends tasks to each worker and admits every attempt
at a model call with the unchanged code in `models/traffic` (rates, concurrency, budget, circuit
breaker). It journals each reply as the reply arrives, applies the gates that compare a conversation
with the corpus, and commits tasks in the order of the plan. All limits therefore apply to a cluster
exactly as to a single process, and the resulting data set or scores are byte-identical to those
from a single process.

    messages        the messages between the driver and a worker
    playing_work    a run's tasks, as sent to a worker and played there
    judging_work    a judge's scores, as sent to a worker and computed there
    worker          the worker, which runs tasks of either kind and does not depend on Ray
    worker_folder   a worker's files, and the cleanup after killed workers
    worker_traffic  a worker's model calls, admitted by the driver
    driver          the driver, which assigns tasks and lineages to workers
    slots           worker slots, and the tasks assigned to them
    driver_calls    the workers' calls within the driver's traffic
    ray_cluster     workers as Ray actors, and the code that starts them
    ray_spread      batches of a corpus measured in Ray tasks
    ray_connection  the connection to Ray; only this module and the two above import Ray
"""
