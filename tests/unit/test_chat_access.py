"""Who may use the app in Chat: the three kinds of token, the list of people, and their settings."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chat_access import CHAT, authenticate_chat, may_speak
from chat_event import Event, EventKind, identity_token, parse_event
from chat_settings import CHAT_CERTS_URL, ChatAuth, ChatSettings
from shared.errors import Forbidden, InvalidSettings, Unauthorized, WatchkeeperError
from shared.settings import GOOGLE_CERTS_URL, AuthMode, AuthPolicy, Settings
from shared.web.certificates import Certificates
from tests.support.chatting import AddOn, Classic
from tests.support.tokens import CALLER, IdentityProvider, google_claims, rs256, rsa_key, without_signature

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
URL = "https://europe-west1-example.cloudfunctions.net/watchkeeper-chat-webhook"
NUMBER = "123456789012"
ADD_ON = f"service-{NUMBER}@gcp-sa-gsuiteaddons.iam.gserviceaccount.com"
OTHER_ADD_ON = "service-999999999999@gcp-sa-gsuiteaddons.iam.gserviceaccount.com"
PERSON = "mallory@example.com"
SECRET = "open-sesame"

every_kind = pytest.mark.parametrize("kind", list(ChatAuth))
by_google = pytest.mark.parametrize("kind", [ChatAuth.ADDON, ChatAuth.ENDPOINT])


def claims(kind: ChatAuth, **changes: Any) -> dict[str, Any]:
    """Return the claims of Chat's token of that kind, with changes; None leaves a claim out."""
    match kind:
        case ChatAuth.PROJECT_NUMBER:
            own = dict.fromkeys(("azp", "email", "email_verified", "sub"))
            return google_claims(NOW, **{**own, "iss": CHAT, "aud": NUMBER, **changes})
        case ChatAuth.ENDPOINT:
            return google_claims(NOW, **{"email": CHAT, "aud": URL, **changes})
        case _:
            return google_claims(NOW, **{"email": ADD_ON, "aud": URL, **changes})


@dataclass
class Door:
    """The check as the webhook makes it. `token` goes into the header, `in_body` into the event of an add-on."""

    provider: IdentityProvider
    records: Callable[[], list[dict[str, Any]]]

    def __post_init__(self) -> None:
        self.certificates = Certificates(self.provider.url)

    def enter(
        self,
        kind: ChatAuth,
        *,
        token: str = "",
        in_body: str = "",
        mode: AuthMode = AuthMode.VERIFY,
        audiences: tuple[str, ...] = (),
        callers: tuple[str, ...] = (ADD_ON,),
        address: str = "",
        certificates: Certificates | None = None,
    ) -> bool:
        """Ask to be let in, and return whether our own app called. The audience follows from the kind by default."""
        own = NUMBER if kind is ChatAuth.PROJECT_NUMBER else URL
        chat = ChatSettings(auth=kind, audiences=audiences or (own,), allowed_users=(), certs_url="", agent="")
        policy = AuthPolicy(mode=mode, audiences=("elsewhere",), callers=frozenset(callers), cron_secret=SECRET)
        event = AddOn.message("jobs", authorizationEventObject={"systemIdToken": in_body})
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return authenticate_chat(
            headers,
            lambda: identity_token(event),
            policy,
            chat,
            address=address,
            certificates=certificates or self.certificates,
            add_on_certificates=self.certificates,
            now=NOW,
        )

    def logged(self) -> list[str]:
        """Return the reasons in the log."""
        return [fields.get("reason", "") for fields in self.records()]

    def fields(self) -> dict[str, Any]:
        """Return the fields of the last log line."""
        return self.records()[-1]

    def refused(self, kind: ChatAuth, error: type[WatchkeeperError] = Unauthorized, **given: Any) -> str:
        """Ask to be let in, assert that it is refused, and return the reason in the log."""
        with pytest.raises(error) as raised:
            self.enter(kind, **given)
        assert type(raised.value) is error
        return self.logged()[-1]

    def sign(self, kind: ChatAuth, **changes: Any) -> str:
        return self.provider.token(claims(kind, **changes))


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider() as provider:
        yield provider


@pytest.fixture
def door(provider: IdentityProvider, caplog: pytest.LogCaptureFixture) -> Door:
    def lines() -> list[dict[str, Any]]:
        return [vars(record)["fields"] for record in caplog.records]

    return Door(provider, lines)


# -- the header's token ------------------------------------------------------------------------------------------------


@every_kind
def test_chats_own_token_is_accepted(door: Door, kind: ChatAuth) -> None:
    """Signed by Chat's own account, for this function or project."""
    door.enter(kind, token=door.sign(kind))

    assert door.logged() == []


@every_kind
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://accounts.example.com"}, "wrong issuer"),
        ({"iss": None}, "wrong issuer"),
        ({"aud": f"{URL}/"}, "wrong audience"),
        ({"aud": int(NUMBER)}, "wrong audience"),
        ({"aud": None}, "wrong audience"),
        ({"exp": int((NOW - timedelta(seconds=11)).timestamp())}, "expired"),
        ({"iat": int((NOW + timedelta(seconds=11)).timestamp())}, "not yet valid"),
        ({"exp": None}, "exp is not a number of seconds"),
    ],
)
def test_token_with_a_wrong_claim_is_refused(door: Door, kind: ChatAuth, changes: dict[str, Any], reason: str) -> None:
    """For every kind of token, one wrong claim is enough."""
    assert door.refused(kind, token=door.sign(kind, **changes)) == reason


@by_google
@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"email": CALLER}, Forbidden, "the caller is not on the list"),
        ({"email": PERSON}, Forbidden, "the caller is not on the list"),
        ({"email": None}, Unauthorized, "no verified e-mail address"),
        ({"email_verified": False}, Unauthorized, "no verified e-mail address"),
    ],
)
def test_googles_token_for_another_account_is_refused(
    door: Door, kind: ChatAuth, changes: dict[str, Any], error: type[WatchkeeperError], reason: str
) -> None:
    """Anybody can get a token from Google for this audience."""
    assert door.refused(kind, error, token=door.sign(kind, **changes)) == reason


@pytest.mark.parametrize("email", [ADD_ON.upper(), CALLER])
def test_add_on_account_must_be_the_configured_one(door: Door, email: str) -> None:
    """It is in AUTH_CALLERS, in upper or lower case."""
    door.enter(ChatAuth.ADDON, token=door.sign(ChatAuth.ADDON, email=email), callers=(ADD_ON, CALLER))


def test_callers_of_other_functions_are_not_chat(door: Door) -> None:
    """With `endpoint`, AUTH_CALLERS allows nobody else."""
    token = door.sign(ChatAuth.ENDPOINT, email=CALLER)

    reason = door.refused(ChatAuth.ENDPOINT, Forbidden, token=token, callers=(CALLER,))

    assert reason == "the caller is not on the list"


@every_kind
def test_signature_by_another_key_is_refused(door: Door, kind: ChatAuth) -> None:
    """Under the name of a known key and under an unknown one."""
    forged = door.provider.token(claims(kind), sign=rs256(rsa_key("mallory")))
    unknown = door.provider.token(claims(kind), header={"kid": "mallory"}, sign=rs256(rsa_key("mallory")))

    assert door.refused(kind, token=forged) == "bad signature"
    assert door.refused(kind, token=unknown) == "unknown key"


@every_kind
def test_removed_signature_is_not_verified(door: Door, kind: ChatAuth) -> None:
    """The log distinguishes it from a bad one and has the remedy."""
    reason = door.refused(kind, token=without_signature(door.sign(kind)))

    assert reason == "signature removed by the platform; where Cloud Run IAM checks it, set AUTH_MODE=platform"


@by_google
def test_claims_are_checked_behind_the_platform_too(door: Door, kind: ChatAuth) -> None:
    """IAM checks only the signature."""
    door.enter(kind, mode=AuthMode.PLATFORM, token=without_signature(door.sign(kind)))

    stripped = without_signature(door.sign(kind, email=PERSON))
    assert door.refused(kind, Forbidden, mode=AuthMode.PLATFORM, token=stripped) == "the caller is not on the list"
    stripped = without_signature(door.sign(kind, aud="elsewhere"))
    assert door.refused(kind, mode=AuthMode.PLATFORM, token=stripped) == "wrong audience"


@every_kind
@pytest.mark.parametrize("token", ["", SECRET])
def test_request_without_a_token_is_refused(door: Door, kind: ChatAuth, token: str) -> None:
    """CRON_SECRET does not count either: it is for the scheduled functions."""
    assert door.refused(kind, token=token) == ("not three parts in base64url" if token else "no bearer token")


@pytest.mark.parametrize(
    ("sent", "to", "error", "reason"),
    [
        (ChatAuth.ADDON, ChatAuth.ENDPOINT, Forbidden, "the caller is not on the list"),
        (ChatAuth.ENDPOINT, ChatAuth.ADDON, Forbidden, "the caller is not on the list"),
        (ChatAuth.ADDON, ChatAuth.PROJECT_NUMBER, Unauthorized, "wrong issuer"),
        (ChatAuth.ENDPOINT, ChatAuth.PROJECT_NUMBER, Unauthorized, "wrong issuer"),
        (ChatAuth.PROJECT_NUMBER, ChatAuth.ADDON, Unauthorized, "wrong issuer"),
        (ChatAuth.PROJECT_NUMBER, ChatAuth.ENDPOINT, Unauthorized, "wrong issuer"),
    ],
)
def test_token_of_another_kind_is_refused(
    door: Door, sent: ChatAuth, to: ChatAuth, error: type[WatchkeeperError], reason: str
) -> None:
    """Even if its audience is allowed, except an add-on's token whose account is known to belong to the app."""
    own = {"audiences": (URL, NUMBER), "callers": (OTHER_ADD_ON,)}

    assert door.refused(to, error, token=door.sign(sent), **own) == reason


@every_kind
def test_only_a_token_of_our_own_app_proves_the_app(door: Door, kind: ChatAuth) -> None:
    """A token of Chat's own account for the function's address is the same for every app that calls it."""
    assert door.enter(kind, token=door.sign(kind)) is (kind is not ChatAuth.ENDPOINT)


@pytest.mark.parametrize("kind", [ChatAuth.ENDPOINT, ChatAuth.PROJECT_NUMBER])
def test_classic_app_accepts_its_own_add_on_token(door: Door, kind: ChatAuth) -> None:
    """Google sends them unasked; the account belongs to the app's project and proves the app."""
    token = door.sign(ChatAuth.ADDON)

    assert door.enter(kind, token=token, address=URL)
    assert door.enter(kind, token=door.sign(kind), address=URL) is (kind is not ChatAuth.ENDPOINT)


@pytest.mark.parametrize("kind", [ChatAuth.ENDPOINT, ChatAuth.PROJECT_NUMBER])
@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"email": OTHER_ADD_ON}, Forbidden, "the caller is not on the list"),
        ({"email": f"x{ADD_ON}"}, Forbidden, "the caller is not on the list"),
        ({"email": f"{ADD_ON}.example"}, Forbidden, "the caller is not on the list"),
        ({"email": CALLER}, Forbidden, "the caller is not on the list"),
        ({"email_verified": False}, Unauthorized, "no verified e-mail address"),
        ({"aud": f"{URL}/"}, Unauthorized, "wrong audience"),
        ({"aud": "elsewhere"}, Unauthorized, "wrong audience"),
        ({"iss": "https://accounts.example.com"}, Unauthorized, "wrong issuer"),
        ({"exp": 1}, Unauthorized, "expired"),
    ],
)
def test_classic_app_refuses_the_add_on_token_of_another_app(
    door: Door, kind: ChatAuth, changes: dict[str, Any], error: type[WatchkeeperError], reason: str
) -> None:
    """Account, audience, issuer and time are checked as for an add-on."""
    token = door.sign(ChatAuth.ADDON, **changes)

    assert door.refused(kind, error, token=token, address=URL, callers=(ADD_ON, CALLER)) == reason


@pytest.mark.parametrize("kind", [ChatAuth.ENDPOINT, ChatAuth.PROJECT_NUMBER])
def test_classic_app_refuses_an_unsigned_add_on_token(door: Door, kind: ChatAuth) -> None:
    """The issuer that it claims only selects the check."""
    forged = door.provider.token(claims(ChatAuth.ADDON), sign=rs256(rsa_key("mallory")))

    assert door.refused(kind, token=forged, address=URL) == "bad signature"


def test_add_on_token_is_checked_with_googles_certificates(door: Door) -> None:
    """Chat's certificates do not have its key."""
    with IdentityProvider() as elsewhere:
        elsewhere.key_ids = ["key-of-chat"]
        chats = Certificates(elsewhere.url)
        door.enter(ChatAuth.PROJECT_NUMBER, token=door.sign(ChatAuth.ADDON), address=URL, certificates=chats)
        reason = door.refused(ChatAuth.PROJECT_NUMBER, token=door.sign(ChatAuth.ADDON), certificates=chats)

    assert reason == "unknown key"
    assert door.fields()["issuer"] == "https://accounts.google.com"
    assert door.fields()["expected_issuers"] == CHAT
    assert door.fields()["audience"] == URL
    assert door.fields()["expected_audiences"] == NUMBER


@every_kind
def test_everything_is_accepted_with_authentication_off(door: Door, kind: ChatAuth) -> None:
    """With and without a token."""
    door.enter(kind, mode=AuthMode.OFF)
    door.enter(kind, mode=AuthMode.OFF, token="nonsense", in_body="nonsense")

    assert door.logged() == []


# -- the body's token --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [AuthMode.VERIFY, AuthMode.PLATFORM])
@pytest.mark.parametrize("in_header", ["", "nonsense", "removed"])
def test_add_on_token_in_the_body_is_enough(door: Door, mode: AuthMode, in_header: str) -> None:
    """The platform may change the header, but not the body."""
    token = door.sign(ChatAuth.ADDON)

    door.enter(
        ChatAuth.ADDON,
        mode=mode,
        in_body=token,
        token=without_signature(token) if in_header == "removed" else in_header,
    )

    assert door.logged() == []


@pytest.mark.parametrize("mode", [AuthMode.VERIFY, AuthMode.PLATFORM])
def test_add_on_token_in_the_body_is_verified_in_every_mode(door: Door, mode: AuthMode) -> None:
    """A good token in the header does not replace it: IAM never reads the body."""
    good = door.sign(ChatAuth.ADDON)
    forged = door.provider.token(claims(ChatAuth.ADDON), sign=rs256(rsa_key("mallory")))

    def reason(in_body: str, error: type[WatchkeeperError] = Unauthorized) -> str:
        return door.refused(ChatAuth.ADDON, error, mode=mode, in_body=in_body, token=good)

    assert reason(forged) == "bad signature"
    assert reason(without_signature(good)).startswith("signature removed by the platform")
    assert reason(door.sign(ChatAuth.ADDON, aud="elsewhere")) == "wrong audience"
    assert reason(door.sign(ChatAuth.ADDON, exp=1)) == "expired"
    assert reason(door.sign(ChatAuth.ADDON, email=PERSON), Forbidden) == "the caller is not on the list"


@pytest.mark.parametrize("kind", [ChatAuth.ENDPOINT, ChatAuth.PROJECT_NUMBER])
def test_classic_app_ignores_a_token_in_the_body(door: Door, kind: ChatAuth) -> None:
    """A token there is ignored, good or bad."""
    door.enter(kind, token=door.sign(kind), in_body="nonsense")

    assert door.refused(kind, in_body=door.sign(kind)) == "no bearer token"


# -- people ------------------------------------------------------------------------------------------------------------


def settings_of(**env: str) -> ChatSettings:
    closed = {"CHAT_AUDIENCE": URL, "AUTH_CALLERS": ADD_ON}
    return ChatSettings.from_env({**closed, **env}, Settings.from_env({**closed, **env}))


@pytest.mark.parametrize("app", [Classic, AddOn])
@pytest.mark.parametrize(
    ("allowed", "email", "is_heard"),
    [
        ("", "ada@example.com", False),
        (" , ", "ada@example.com", False),
        ("ada@example.com", "ada@example.com", True),
        ("ADA@Example.COM", "Ada@example.com", True),
        ("ada@example.com", "bob@example.com", False),
        ("bob@example.com, *@example.com", "Ada@EXAMPLE.com", True),
        ("*@Example.com", "ada@example.com", True),
        ("*@example.com", "ada@evil-example.com", False),
        ("*@example.com", "ada@example.com.evil.com", False),
        ("*@example.com", "ada@sub.example.com", False),
        ("*@example.com", "ada@example.com@evil.com", False),
        ("*@example.com", "example.com", False),
        ("*@example.com", "", False),
        ("ada@example.com", "*@example.com", False),
    ],
)
def test_only_allowed_users_are_answered(
    app: type[Classic] | type[AddOn], allowed: str, email: str, is_heard: bool
) -> None:
    """By address or whole domain, in upper or lower case; an empty list allows nobody."""
    event = app.message("jobs")
    (event["chat"] if app.is_add_on else event)["user"] = {"name": "users/1", "email": email, "type": "HUMAN"}

    assert may_speak(parse_event(event), settings_of(ALLOWED_USERS=allowed)) is is_heard


def test_empty_list_of_users_allows_nobody() -> None:
    """The app is closed by default."""
    assert not may_speak(Event(kind=EventKind.MESSAGE, email="ada@example.com"), settings_of())


# -- the settings ------------------------------------------------------------------------------------------------------


def test_settings_are_read() -> None:
    """Each from its variable."""
    chat = settings_of(
        CHAT_AUTH="project_number",
        CHAT_AUDIENCE=f"{NUMBER}, {URL}",
        ALLOWED_USERS="Ada@example.com,*@example.org",
        AUTH_CERTS_URL="http://127.0.0.1:1/certs",
        CHAT_AGENT="agent.chat:answer",
    )

    assert chat == ChatSettings(
        auth=ChatAuth.PROJECT_NUMBER,
        audiences=(NUMBER, URL),
        allowed_users=("ada@example.com", "*@example.org"),
        certs_url="http://127.0.0.1:1/certs",
        agent="agent.chat:answer",
    )


def test_each_kind_of_app_has_its_certificates() -> None:
    """Chat's own for the tokens that it signs itself, otherwise Google's."""
    assert settings_of().auth is ChatAuth.ADDON
    assert settings_of().certs_url == settings_of(CHAT_AUTH="endpoint").certs_url == GOOGLE_CERTS_URL
    assert settings_of(CHAT_AUTH="project_number").certs_url == CHAT_CERTS_URL


@pytest.mark.parametrize(
    ("env", "names"),
    [
        ({"CHAT_AUTH": "project_number", "AUTH_MODE": "platform"}, ("CHAT_AUTH",)),
        (
            {"CHAT_AUDIENCE": "", "AUTH_CALLERS": "", "ALLOWED_USERS": "*@example.com, bob"},
            ("ALLOWED_USERS", "CHAT_AUDIENCE", "AUTH_CALLERS"),
        ),
        ({"CHAT_AUTH": "endpoint", "CHAT_AUDIENCE": "", "AUTH_MODE": "platform"}, ("CHAT_AUDIENCE",)),
        ({"CHAT_AUTH": "none", "ALLOWED_USERS": "ada"}, ("CHAT_AUTH", "ALLOWED_USERS")),
        ({"ALLOWED_USERS": "*"}, ("ALLOWED_USERS",)),
        ({"ALLOWED_USERS": "*@*"}, ("ALLOWED_USERS",)),
        ({"ALLOWED_USERS": "ada@example.com bob@example.com"}, ("ALLOWED_USERS",)),
    ],
)
def test_error_names_all_invalid_settings(env: dict[str, str], names: tuple[str, ...]) -> None:
    """The error says what each must be."""
    with pytest.raises(InvalidSettings) as raised:
        settings_of(**env)

    assert raised.value.names == names
    assert all(name in str(raised.value) for name in names)


@pytest.mark.parametrize(
    "env",
    [
        pytest.param({"CHAT_AUTH": "endpoint", "AUTH_CALLERS": ""}, id="endpoint-needs-no-callers"),
        pytest.param({"CHAT_AUTH": "project_number", "AUTH_CALLERS": ""}, id="project-number-needs-no-callers"),
        pytest.param({"AUTH_MODE": "off", "AUTH_CALLERS": "", "CHAT_AUDIENCE": ""}, id="off-needs-nothing"),
        pytest.param({"CHAT_AUTH": "project_number", "AUTH_MODE": "off"}, id="off-takes-a-project-number"),
        pytest.param({"AUTH_MODE": "platform"}, id="platform"),
    ],
)
def test_unneeded_settings_are_optional(env: dict[str, str]) -> None:
    """Only the settings of the chosen kind are required."""
    assert settings_of(**env).allowed_users == ()
