"""Raises the hard limits that its arguments name. One that is infinite already is made finite first."""
import resource, sys

for name in sys.argv[1:]:
    number = getattr(resource, f"RLIMIT_{name}", {"NICE": 13, "RTPRIO": 14, "SIGPENDING": 11, "MSGQUEUE": 12}.get(name))
    try:
        _, most = resource.getrlimit(number)
        if most == resource.RLIM_INFINITY:
            most = 1 << 30
            resource.setrlimit(number, (most, most))
        resource.setrlimit(number, (most, most + 1))
        print(f"ESCAPED: a higher {name}", flush=True)
    except (OSError, ValueError) as error:
        print(f"blocked: a higher {name}: {error}", flush=True)
