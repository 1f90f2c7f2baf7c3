"""WeChat: the two clients, the notices they believe, and a sandbox that speaks the protocol."""
