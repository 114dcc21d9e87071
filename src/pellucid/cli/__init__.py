"""The command `pellucid`. Its libraries come with the extra ``pellucid[cli]``; nothing else here imports them."""
