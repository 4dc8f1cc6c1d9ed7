"""``python -m service.planning.apart LIFE LINE...``: the planning process, quickly begun."""

from service.allocation import nothing_collected

with nothing_collected():
    from service.planning.apart.child import main

main()
