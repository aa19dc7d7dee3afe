"""One request and its answer: routed, disturbed by a fault if one waits for it, sent, and written into the journal."""

from email.utils import formatdate
from http import HTTPStatus

from tests.doubles.storage import bucket_api, object_api, refusals, tus_api
from tests.doubles.storage.body import FaultReset
from tests.doubles.storage.database import NoConnection
from tests.doubles.storage.faults import Fault
from tests.doubles.storage.journal import Entry
from tests.doubles.storage.messages import PREFIX, Request, Response, json_response, refused
from tests.doubles.storage.service import Service
from tests.doubles.storage.wire import GLANCE_SECONDS, ClientFinished, ClientGone, Pace, Wire

#: What arrives with the head, or nearly so, is taken in even of a body that nobody wants.
SMALL_BODY_BYTES = 1 << 16


class Exchange:
    """Serves one request of a connection."""

    def __init__(self, service: Service, wire: Wire, request: Request, entry: Entry, fault: Fault | None) -> None:
        self._service = service
        self._wire = wire
        self._request = request
        self._entry = entry
        self._fault = fault

    def run(self, keep_alive: bool) -> bool:
        """Whether the connection can be used again."""
        try:
            self._before()
            response = self._answer()
            response.close |= not keep_alive
            if self._does("lose_answer"):
                response.release()
                raise FaultReset(keep=True)
            ended = self._send(response)
            self._entry.end()
            return not ended and self._settle(response)
        except FaultReset:
            self._wire.reset()
        except ClientFinished:
            self._say_client_error()
        except ClientGone:
            pass
        finally:
            self._entry.end()
        return False

    def _does(self, deed: str) -> bool:
        return self._fault is not None and self._fault.deed == deed

    def _before(self) -> None:
        """What a fault does ahead of the request."""
        fault = self._fault
        if fault is None:
            return
        if fault.deed == "reset" and self._request.body.complete:
            raise FaultReset(fault.keep)
        if fault.deed == "stall" and fault.after_bytes is None:
            if fault.locked:
                self._request.hold_inside = self._hold
            else:
                self._hold()
        if fault.deed in ("forget_upload", "set_back"):
            upload = self._service.uploads.find(tus_api.upload_id(self._request.path))
            if upload and fault.deed == "forget_upload":
                self._service.uploads.forget(upload)
            elif upload:
                self._service.uploads.set_back(upload, fault.lost_bytes)

    def _hold(self) -> None:
        gate = self._service.faults.gate()
        self._entry.held = True
        while not gate.wait(GLANCE_SECONDS):
            if self._wire.is_gone():
                raise ClientGone
        self._entry.held = False

    def _answer(self) -> Response:
        fault = self._fault
        if fault is not None and fault.deed == "answer":
            return self._dictated(fault)
        try:
            response = route(self._service, self._request)
        except refusals.Refusal as refusal:
            response = refused(refusal)
        if fault is not None and fault.deed == "offset" and "Upload-Offset" in response.headers:
            response.headers["Upload-Offset"] = str(int(response.headers["Upload-Offset"]) + fault.delta)
        return response

    def _dictated(self, fault: Fault) -> Response:
        if fault.read_body:
            self._request.body.discard()
        is_tus = self._request.route.startswith(tus_api.BASE)
        if isinstance(fault.body, str):
            response = Response(fault.status, {"Content-Type": "text/plain; charset=utf-8"}, fault.body.encode())
        else:
            response = json_response(fault.body, fault.status)
        response.headers |= fault.headers
        response.close = is_tus or response.headers.get("Connection") == "close"
        response.drain = is_tus
        return response

    def _send(self, response: Response) -> bool:
        """Whether a fault ended the connection on the way."""
        try:
            self._entry.status = response.status
            head = self._head(response)
            if self._request.method == "HEAD" or not response.body_bytes:
                self._wire.send(head)
                return False
            fault = self._fault
            if fault is None or fault.deed not in ("cut", "stall") or fault.after_bytes is None:
                self._send_body(response, head, response.body_bytes)
                return False
            self._send_body(response, head, min(fault.after_bytes, response.body_bytes))
            if fault.deed == "cut":
                self._cut(fault)
                return True
            self._hold()
            self._send_body(response, b"", response.body_bytes)
            return False
        finally:
            response.release()

    def _head(self, response: Response) -> bytes:
        try:
            reason = HTTPStatus(response.status).phrase
        except ValueError:
            reason = "Unknown"
        headers = {"Date": formatdate(usegmt=True), "Connection": "close" if response.close else "keep-alive"}
        if not response.close:
            headers["Keep-Alive"] = f"timeout={self._service.settings.idle_seconds:.0f}"
        if response.status not in (204, 304):
            headers["Content-Length"] = str(response.body_bytes)
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers | response.headers).items())
        return f"HTTP/1.1 {response.status} {reason}\r\n{lines}\r\n".encode("latin-1")

    def _send_body(self, response: Response, head: bytes, end: int) -> None:
        """Send on up to byte `end` of the body."""
        if response.file is None:
            self._wire.send(head + response.body[self._entry.sent_bytes : end])
            self._entry.sent_bytes = end
            return
        if head:
            self._wire.send(head)
        pace = Pace(self._service.settings.bytes_per_second)
        pace.start()
        begun = self._entry.sent_bytes
        while (sent := self._entry.sent_bytes) < end:
            step = min(pace.step_bytes, end - sent)
            pace.keep(sent + step - begun)
            self._wire.send_file(response.file.fileno(), response.offset + sent, step)
            self._entry.sent_bytes += step

    def _cut(self, fault: Fault) -> None:
        self._wire.wait_until_sent()
        if fault.end == "rst":
            self._wire.reset()
        else:
            self._wire.close()

    def _settle(self, response: Response) -> bool:
        """Deal with what is left of the request's body; whether the connection can be used again."""
        body = self._request.body
        if response.close:
            self._wire.finish()
            return False
        body.discard(None if response.drain or body.complete else SMALL_BODY_BYTES)
        if not body.complete:
            self._wire.hold_unread(self._service.settings.idle_seconds)
        return body.complete

    def _say_client_error(self) -> None:
        """The client may have closed only its own side."""
        self._entry.status = 400
        response = json_response({"error": "Bad Request", "message": "Client Error", "statusCode": 400}, 400)
        response.close = True
        try:
            self._wire.send(self._head(response) + response.body)
        except ClientGone:
            self._entry.status = None
        self._wire.finish()


def route(service: Service, request: Request) -> Response:
    """Hand the request to the API that it is for."""
    if request.path.startswith(f"{PREFIX}/"):
        if _is_below(tus_api.BASE, request):
            return tus_api.answer(service, request)
        for base, handler in (("/bucket", bucket_api.answer), ("/object", object_api.answer)):
            if _is_below(base, request):
                _use_database(service)
                return handler(service, request)
        if request.route == "/status":
            return Response(200)
        if request.route == "/health" and service.may_everything(request):
            return json_response({"healthy": True})
    raise refusals.no_route(request.method, request.path)


def _is_below(base: str, request: Request) -> bool:
    return request.route == base or request.route.startswith(f"{base}/")


def _use_database(service: Service) -> None:
    try:
        service.database.use()
    except NoConnection as error:
        message = "The connection to the database timed out"
        raise refusals.object_refusal(544, "DatabaseTimeout", message, http_status=544) from error
