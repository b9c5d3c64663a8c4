"""Store-and-forward: what is queued for modalities and peers is sent until it has arrived, in the order of each queue.

`destinations.queue_instances` puts in, `forwarder.Forwarder` takes out. The room knows nothing of who decides what is
to be sent, and keeps nothing in memory that would be missed: queues are rows of the index.
"""
