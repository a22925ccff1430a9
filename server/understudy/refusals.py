"""What the API refuses, one row each: the hosted API's words, `param`, `code` and status, with their evidence.

`raise THREAD_LOCKED(thread="thread_…", run="run_…")`: the values fill the braces. Where a row's `param` has none, it is
what `param=` says. Words without a tag are ours, in the hosted API's manner: no recording of them was found.
"""

from dataclasses import dataclass

from understudy.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    FileNotFoundAPIError,
    InternalServerError,
    NotFoundError,
    NotSupportedError,
    PermissionDeniedError,
    VectorStoreExpiredError,
)

_LONGEST = 8000  # characters; what a client sent is repeated so far
_SUPPORTED_FILES = "https://platform.openai.com/docs/assistants/tools/file-search/supported-files"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row. `error` is the exception that is raised, which has the status."""

    message: str
    code: str | None = None
    param: str | None = None
    error: type[APIError] = BadRequestError

    def __call__(self, *, param: str | None = None, **values: object) -> APIError:
        """The error to raise."""
        where = param if self.param is None else self.param
        message = self.message.format(param=where, **values)
        shown = message if len(message) <= _LONGEST else f"{message[:_LONGEST]}..."
        return self.error(shown, param=where or None, code=self.code)


# ---------------------------------------------------------------------------------------------------------------------
# Request bodies and queries

NOT_JSON = Refusal("We could not parse the JSON body of your request.", "invalid_json")
TOO_DEEP = Refusal("The JSON body is nested more than {most} levels deep.", "invalid_json")
TOO_MANY_VALUES = Refusal("The JSON body has more than {most} values.", "invalid_json")
BODY_TOO_LARGE = Refusal("The body is larger than the {most} MB that it may have.")
NUL = Refusal("A string contains a NUL character, which this server's database cannot hold.", "invalid_value")
CLIENT_LEFT = Refusal("The client closed the connection before its request was complete.")
NO_BODY = Refusal("Missing required request body.", "missing_required_parameter")
NOT_USED = Refusal("{reason}")
NO_SNAPSHOT = Refusal("No snapshot found with id '{id}'.", error=NotFoundError)
NO_OBJECT = Refusal(
    "Invalid body: expected a JSON object of content type application/json, but got {got}.", "invalid_type"
)
MISSING = Refusal("Missing required parameter: '{param}'.", "missing_required_parameter")  # [I]
UNKNOWN = Refusal("Unknown parameter: '{param}'.", "unknown_parameter")
EXCLUSIVE = Refusal(
    "Mutually exclusive parameters: '{first}' and '{second}'. Give one of them.", "mutually_exclusive_parameters"
)
WRONG_TYPE = Refusal("Invalid type for '{param}': expected {expected}, but got {got} instead.", "invalid_type")  # [R]
WRONG_VALUE = Refusal("Invalid value: '{value}'. Value must be {allowed}.", "invalid_value")
NO_SUCH_VALUE = Refusal("Invalid value: '{value}'. Supported values are: {allowed}.", "invalid_value")  # [I]
INVALID = Refusal("Invalid '{param}': {reason}.", "invalid_value")
PATTERN = Refusal(  # [I]
    "Invalid '{param}': string does not match pattern. Expected a string that matches the pattern '{pattern}'.",
    "invalid_value",
)
STRING_TOO_LONG = Refusal(  # [I]
    "Invalid '{param}': string too long. Expected a string with maximum length {bound}, but got a string with length "
    "{size} instead.",
    "string_above_max_length",
)
STRING_EMPTY = Refusal(  # [I]
    "Invalid '{param}': empty string. Expected a string with minimum length {bound}, but got an empty string instead.",
    "empty_string",
)
KEY_TOO_LONG = Refusal(  # [I]
    "Invalid property name in '{owner}': '{key}' is too long. Expected a string with maximum length {bound}, but got a "
    "string with length {size} instead.",
    "property_name_above_max_length",
)
ARRAY_TOO_LONG = Refusal(  # [I]
    "Invalid '{param}': array too long. Expected an array with maximum length {bound}, but got an array with length "
    "{size} instead.",
    "array_above_max_length",
)
ARRAY_EMPTY = Refusal(  # [I]
    "Invalid '{param}': empty array. Expected an array with minimum length {bound}, but got an empty array instead.",
    "empty_array",
)
TOO_MANY_PROPERTIES = Refusal(  # [I]
    "Invalid '{param}': too many properties. Expected an object with at most {bound} properties, but got an object "
    "with {size} properties instead.",
    "object_above_max_properties",
)
INTEGER_ABOVE = Refusal(  # [I]
    "Invalid '{param}': integer above maximum value. Expected a value <= {bound}, but got {value} instead.",
    "integer_above_max_value",
)
INTEGER_BELOW = Refusal(  # [I]
    "Invalid '{param}': integer below minimum value. Expected a value >= {bound}, but got {value} instead.",
    "integer_below_min_value",
)
DECIMAL_ABOVE = Refusal(  # [I]
    "Invalid '{param}': decimal above maximum value. Expected a value <= {bound}, but got {value} instead.",
    "decimal_above_max_value",
)
DECIMAL_BELOW = Refusal(  # [I]
    "Invalid '{param}': decimal below minimum value. Expected a value >= {bound}, but got {value} instead.",
    "decimal_below_min_value",
)
NO_ID = Refusal("Invalid '{param}': '{value}'. Expected an ID that begins with '{prefix}'.", "invalid_value")  # [I]
ID_TOO_LONG = Refusal("Invalid '{param}': '{value}'. Expected at most 64 ASCII characters.", "invalid_value", "id")
ID_TAKEN = Refusal("The id '{value}' is already in use.", "invalid_value", "id")

# ---------------------------------------------------------------------------------------------------------------------
# What is not there

NOT_FOUND = Refusal("No {kind} found with id '{id}'.", error=NotFoundError)  # [R, I]
FILE_NOT_IN_STORE = Refusal("No file found with id '{id}' in vector store '{store}'.", error=NotFoundError)
FILE_NOT_FOUND = Refusal("No such File object: {id}", param="id", error=FileNotFoundAPIError)  # [R]
NO_SUCH_FILE = Refusal("No file found with id '{id}'.")
MODEL_NOT_FOUND = Refusal("The model '{model}' does not exist", "model_not_found", "model", NotFoundError)  # [R]
INVALID_URL = Refusal("Invalid URL ({method} {path})", "unknown_url", error=NotFoundError)
NOT_AN_API_URL = Refusal(
    "Invalid URL ({method} {path}). The API is at /v1, as in OPENAI_BASE_URL=http://127.0.0.1:8700/v1",
    "unknown_url",
    error=NotFoundError,
)

NO_UPSTREAM = Refusal(
    "{method} /v1/{path} is passed on to an upstream, and none is configured: start the server with --upstream URL (or "
    "{known}).",
    error=NotSupportedError,
)
NO_DEPLOYMENT = Refusal(
    "The upstream has its models under /deployments/NAME, and the request does not tell the name: send it to "
    "/openai/deployments/NAME/{path}.",
    param="model",
)

# ---------------------------------------------------------------------------------------------------------------------
# Who may ask

NO_KEY = Refusal(
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY).",
    error=AuthenticationError,
)
WRONG_KEY = Refusal("Incorrect API key provided: {shown}.", "invalid_api_key", error=AuthenticationError)  # [I]
HOST_NOT_SERVED = Refusal(
    "Host '{host}' is not served here: give the server --allowed-host {name} if it should.", error=PermissionDeniedError
)
CROSS_SITE = Refusal(
    "Requests of web pages from {origin} are refused. Start the server with --cors-origin ORIGIN to allow them.",
    error=PermissionDeniedError,
)
MODEL_STAYS = Refusal("You have insufficient permissions for this operation.", error=PermissionDeniedError)

# ---------------------------------------------------------------------------------------------------------------------
# Faults of ours

FAULT = Refusal(  # [R2]
    "The server had an error while processing your request. Sorry about that!", error=InternalServerError
)

# ---------------------------------------------------------------------------------------------------------------------
# Runs and their threads

MESSAGES_LOCKED = Refusal("Can't add messages to {thread} while a run {run} is active.")  # [I]
MESSAGE_LOCKED = Refusal("Can't delete message {message} while a run {run} is active.")
THREAD_LOCKED = Refusal("Thread {thread} already has an active run {run}.")  # [I]
THREAD_LOCKED_BY_ANOTHER_SERVER = Refusal("Thread {thread} already has an active run.")
NOTHING_TO_RUN = Refusal(  # [R]
    "Run creation requires a Thread with a user message or an assistant with instructions.", "invalid_thread"
)
NOT_CANCELLABLE = Refusal("Cannot cancel run with status '{status}'.")  # [I]
NO_OUTPUTS_WANTED = Refusal('Runs in status "{status}" do not accept tool outputs.')  # [R, I]
OTHER_OUTPUTS_WANTED = Refusal("Expected tool outputs for call_ids {expected}, got {given}")  # [I]
OUTPUT_TWICE = Refusal("Duplicate tool outputs for call_ids {given}", param="tool_outputs")

# ---------------------------------------------------------------------------------------------------------------------
# Files and vector stores

WRONG_PURPOSE = Refusal("'{purpose}' is not one of {purposes} - 'purpose'")  # [R]
NO_DOWNLOAD = Refusal("Not allowed to download files of purpose: {purpose}")  # [I]
NOT_RETRIEVABLE = Refusal(  # [I]
    f"Files with extensions [{{extensions}}] are not supported for retrieval. See {_SUPPORTED_FILES}",
    "unsupported_file",
    "file_ids",
)
STORE_EXPIRED = Refusal("Vector store '{store}' has expired", error=VectorStoreExpiredError)  # [I]

# ---------------------------------------------------------------------------------------------------------------------
# Forms and uploads in parts

NO_FORM = Refusal("Could not parse multipart form: {reason}")
CONTENT_TWICE = Refusal("The form has more than one part '{param}'.")
CONTENT_TOO_LARGE = Refusal("'{param}' is larger than the {most} MB that it may have.")
FIELD_TOO_LONG = Refusal("Invalid '{param}': string too long.")
TOO_MANY_FIELDS = Refusal("The form has more than {most} fields.")
UPLOAD_NOT_PENDING = Refusal("Cannot {deed} upload with status '{status}'.")
PARTS_TOO_LARGE = Refusal(
    "The parts of upload '{upload}' would be larger than the {most} GB that they may have.", param="data"
)
NO_SUCH_PART = Refusal("No part found with id '{id}' in upload '{upload}'.")
PART_TWICE = Refusal("Duplicate part_ids {given}", param="part_ids")
WRONG_SIZE = Refusal(
    "The parts have {got} bytes, but the upload was created for {expected} bytes.", "invalid_value", "part_ids"
)
WRONG_MD5 = Refusal("The md5 checksum of the parts is '{got}', but '{expected}' was given.", "invalid_value", "md5")
