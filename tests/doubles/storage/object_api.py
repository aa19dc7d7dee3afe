"""Everything under `/object`: which call is meant."""

from tests.doubles.storage import manage_api, read_api, refusals, upload_api
from tests.doubles.storage.messages import Request, Response, bucket_and_key
from tests.doubles.storage.service import Service


def answer(service: Service, request: Request) -> Response:
    rest = request.route.removeprefix("/object/")
    match request.method:
        case "GET" | "HEAD":
            found = _read(service, request, rest)
        case "POST":
            found = _post(service, request, rest)
        case "PUT":
            found = _upload(service, request, rest)
        case "DELETE":
            bucket, key = bucket_and_key(rest)
            call = manage_api.delete_one if key else manage_api.delete_many
            found = call(service, request, bucket, *([key] if key else []))
        case _:
            found = None
    if found is None:
        raise refusals.no_route(request.method, request.path)
    return found


def _read(service: Service, request: Request, rest: str) -> Response | None:
    kind, _, named = rest.partition("/")
    if kind == "info":
        row = service.visible(request, *bucket_and_key(named.removeprefix("authenticated/")))
        return read_api.info(service, row) if request.method == "GET" else read_api.read(service, request, row)
    if kind == "authenticated":
        return read_api.read(service, request, service.visible(request, *bucket_and_key(named)))
    if kind == "public":
        return _read_public(service, request, *bucket_and_key(named))
    bucket, key = bucket_and_key(rest)
    if not key:
        return None
    # Without a good key the real server takes the bucket for one that is not public, and says it is not there.
    if not service.is_authorized(request):
        raise refusals.no_such_bucket()
    return read_api.read(service, request, service.visible(request, bucket, key))


def _read_public(service: Service, request: Request, bucket: str, key: str) -> Response:
    if not service.bucket(bucket).public:
        raise refusals.no_such_bucket()
    if row := service.state.find(bucket, key):
        return read_api.read(service, request, row)
    raise refusals.no_such_key()


def _post(service: Service, request: Request, rest: str) -> Response | None:
    kind, _, named = rest.partition("/")
    bucket, key = bucket_and_key(named)
    found: Response | None
    match kind, bool(key):
        case "list", False:
            found = manage_api.list_level(service, request, bucket)
        case "list-v2", False:
            found = manage_api.list_pages(service, request, bucket)
        case "move", False:
            found = manage_api.move(service, request)
        case "copy", False:
            found = manage_api.copy(service, request)
        case "upload", True if bucket == "sign":
            found = upload_api.sign(service, request, *bucket_and_key(key))
        case _:
            found = _upload(service, request, rest)
    return found


def _upload(service: Service, request: Request, rest: str) -> Response | None:
    bucket, key = bucket_and_key(rest)
    return upload_api.upload(service, request, bucket, key) if key else None
