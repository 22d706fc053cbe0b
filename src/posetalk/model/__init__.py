import logging

# peft imports it where it is installed; on some CPUs it warns of a faster kernel that nobody here asks for
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
