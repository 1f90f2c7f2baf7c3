"""A local imitation of WeChat's servers: a process of its own, without Django."""
