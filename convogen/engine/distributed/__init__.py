"""A run's tasks played by workers on a Ray cluster.

A worker is a process that plays tasks: the chats, the checks, the requests over HTTP, everything
that takes processor time. All that must be decided once stays in the process that was started (the
driver): it sends each worker its tasks, admits every attempt at a call (rates, concurrency, budget,
circuit breaker: `models/traffic`, unchanged), journals each answer as it arrives, and commits in
the order of the plan, with the gates that look at the corpus. So a cluster has the limits of one
process to the call, and the data set is that of one process to the byte.

    messages        what the driver and a worker send each other
    worker          plays tasks; knows nothing of Ray
    worker_traffic  its model calls, admitted by the driver
    driver          assigns tasks and lineages; recovers those of a dead worker
    slots           the places of workers, and the tasks in their hands
    driver_calls    the workers' calls, in the driver's traffic
    ray_cluster     the only importer of Ray: connecting, starting, the actor
"""
