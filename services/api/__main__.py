"""python -m services.api: the API of this machine, as the settings say."""

from __future__ import annotations

import sys

from labqueue.errors import LabqueueError


def main() -> int:
    from services.api.server import check_bind, make_server
    from services.asgi import create
    from services.bootstrap import build
    from services.observability.logs import configure
    from services.settings import current

    try:
        settings = current()
        configure(settings, "api")
        context = build(settings)
        try:
            context.store.check_safety()
            check_bind(context)
            make_server(create(context), host=settings.host, port=settings.port).run()
        finally:
            context.close()
    except LabqueueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
