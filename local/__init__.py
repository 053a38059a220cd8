"""The laptop stack: engine, build, deploy, gateway, seed data, receiver, platform sandbox, demo."""
