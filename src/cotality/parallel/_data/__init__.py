"""What travels between the rooms: tasks, messages, policies, errors. Imports none of them."""
