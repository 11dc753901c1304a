"""The package anthropic as a client."""

import asyncio
import json
import time

import anthropic
import pydantic

from suite import BASE_URL, CALLER_KEY, CLOCK, PNG, SCHEMAS, WEATHER, calls, control, eventually, raises

client = anthropic.Anthropic(base_url=BASE_URL, api_key="sk-of-the-client", max_retries=0)
messages = client.messages

TOOLS = [
    {"name": "get_weather", "description": "Tells the weather.", "input_schema": WEATHER},
    {"name": "get_time", "description": "Tells the time.", "input_schema": CLOCK},
]
THINKING = {"type": "enabled", "budget_tokens": 2048}


def user(text):
    return [{"role": "user", "content": text}]


def ask(model, text, **more):
    return {"model": model, "max_tokens": 4096, "messages": user(text), **more}


def text_of(message):
    return "".join(b.text for b in message.content if b.type == "text")


def test_chat(model):
    r = messages.create(**ask(model, "How are you?", system="Be kind."))
    assert r.type == "message" and r.role == "assistant" and r.stop_reason == "end_turn", r
    assert text_of(r).startswith("Hello, this is sim"), r
    assert r.usage.input_tokens > 0 and r.usage.output_tokens > 0, r.usage


def test_multi_turn(model):
    first = messages.create(**ask(model, "First"))
    turn = [*user("First"), {"role": "assistant", "content": first.content}, *user("Second")]
    assert '"Second"' in text_of(messages.create(model=model, max_tokens=4096, messages=turn))


def test_length(model):
    r = messages.create(model=model, max_tokens=5, messages=user("Hi [[simulate: tokens=50]]"))
    assert r.stop_reason == "max_tokens" and r.usage.output_tokens == 5, r


def test_stop(model):
    r = messages.create(**ask(model, "How are you?", stop_sequences=[" simulated"]))
    assert text_of(r).endswith(" a"), r
    if model == "sim-anthropic":  # the others do not say which sequence it was
        assert r.stop_reason == "stop_sequence" and r.stop_sequence == " simulated", r


def test_stream(model):
    whole = messages.create(**ask(model, "How are you?"))
    with messages.stream(**ask(model, "How are you?")) as stream:
        text = "".join(stream.text_stream)
    final = stream.get_final_message()
    assert text == text_of(whole) == text_of(final) and final.stop_reason == "end_turn", final
    assert final.usage.output_tokens == whole.usage.output_tokens, final.usage
    assert final.usage.input_tokens == whole.usage.input_tokens, final.usage


def test_stream_events(model):
    kinds = [e.type for e in messages.create(**ask(model, "How are you?", stream=True))]
    kinds = [k for i, k in enumerate(kinds) if i == 0 or kinds[i - 1] != k]
    want = ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"]
    assert [k for k in kinds if k != "ping"] == want, kinds


def test_tools(model):
    first = messages.create(**ask(model, "Call get_weather and get_time", tools=TOOLS))
    check_calls(first)
    answer_calls(model, first)


def test_tools_streamed(model):
    with messages.stream(**ask(model, "Call get_weather and get_time", tools=TOOLS)) as stream:
        pieces = sum(e.type == "input_json" for e in stream)
    first = stream.get_final_message()
    assert pieces >= 2, pieces
    check_calls(first)
    answer_calls(model, first)


def check_calls(message):
    assert message.stop_reason == "tool_use", message
    found = {b.name: b.input for b in message.content if b.type == "tool_use"}
    assert set(found) == {"get_weather", "get_time"}, found
    assert found["get_weather"]["unit"] in ("celsius", "fahrenheit") and "zone" in found["get_time"], found


def answer_calls(model, first):
    results = [
        {"type": "tool_result", "tool_use_id": b.id, "content": f"result of {b.name}"} for b in first.content if b.type == "tool_use"
    ]
    assert len({r["tool_use_id"] for r in results}) == 2, results
    turn = [*user("Call get_weather and get_time"), {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    r = messages.create(model=model, max_tokens=4096, messages=turn, tools=TOOLS, tool_choice={"type": "none"})
    assert "result of" in text_of(r) and r.stop_reason == "end_turn", r


def test_tool_choice(model):
    choice = {"type": "tool", "name": "get_time"}
    if model == "sim-ollama":  # its API has no tool_choice, which must be said
        with raises(anthropic.BadRequestError) as e:
            messages.create(**ask(model, "Hi", tools=TOOLS, tool_choice=choice))
        assert "tool_choice" in e.value.message, e.value
        return
    r = messages.create(**ask(model, "Hi", tools=TOOLS, tool_choice=choice))
    assert [b.name for b in r.content if b.type == "tool_use"] == ["get_time"], r


class Step(pydantic.BaseModel):
    title: str
    minutes: int


class Recipe(pydantic.BaseModel):
    name: str
    steps: list[Step]


def test_structured_output(model):
    r = messages.parse(**ask(model, "A recipe", output_format=Recipe))
    assert isinstance(r.parsed_output, Recipe), r
    with messages.stream(**ask(model, "A recipe", output_format=Recipe)) as stream:
        final = stream.get_final_message()
    assert isinstance(final.parsed_output, Recipe), final


def test_image(model):
    content = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {"type": "text", "text": "What is this?"},
    ]
    r = messages.create(model=model, max_tokens=4096, messages=[{"role": "user", "content": content}])
    if model != "sim-ollama":  # the simulator counts Ollama's images elsewhere
        assert "Attachments received: 1" in text_of(r), r
    assert "What is this?" in text_of(r), r


def test_thinking(model):
    """Thoughts and their signatures go back in the next turn, tool results included: Anthropic and Gemini check them."""
    think(model, messages.create(**ask(model, "Think, then call get_weather", tools=TOOLS, thinking=THINKING)))


def test_thinking_streamed(model):
    with messages.stream(**ask(model, "Think, then call get_weather", tools=TOOLS, thinking=THINKING)) as stream:
        kinds = {e.type for e in stream}
    if model not in ("sim-openai", "sim-azure"):  # their chat API keeps thoughts to itself
        assert "thinking" in kinds, kinds
    think(model, stream.get_final_message())


def think(model, first):
    if model not in ("sim-openai", "sim-azure"):
        assert first.content[0].type == "thinking" and first.content[0].thinking, first
    if model in ("sim-anthropic", "sim-gemini"):
        assert any(b.type == "thinking" and b.signature for b in first.content), first
    call = next(b for b in first.content if b.type == "tool_use")
    turn = [
        *user("Think, then call get_weather"),
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}]},
    ]
    r = messages.create(model=model, max_tokens=4096, messages=turn, tools=TOOLS, tool_choice={"type": "none"}, thinking=THINKING)
    assert "sunny" in text_of(r), r


def test_cache_control(model):
    """What only Anthropic can cache is a hint elsewhere: the request goes through, and a header says so."""
    system = [{"type": "text", "text": f"A long instruction for {model}. " * 50, "cache_control": {"type": "ephemeral"}}]
    r = messages.with_raw_response.create(**ask(model, "Hi", system=system))
    if model == "sim-anthropic":
        again = messages.create(**ask(model, "Hi", system=system))
        assert r.parse().usage.cache_creation_input_tokens > 0, r.parse().usage
        assert again.usage.cache_read_input_tokens > 0, again.usage
    else:
        assert "cache_control" in r.headers["x-nantian-dropped-params"], r.headers


def test_count_tokens(model):
    few = messages.count_tokens(model=model, messages=user("Hi"))
    many = messages.count_tokens(model=model, messages=user("Hi " * 200), tools=TOOLS, system="Be kind.")
    assert 0 < few.input_tokens < many.input_tokens, (few, many)


ERRORS = {
    400: (anthropic.BadRequestError, "invalid_request_error"),
    401: (anthropic.AuthenticationError, "authentication_error"),
    403: (anthropic.PermissionDeniedError, "permission_error"),
    404: (anthropic.NotFoundError, "not_found_error"),
    413: (anthropic.RequestTooLargeError, "request_too_large"),
    429: (anthropic.RateLimitError, "rate_limit_error"),
    500: (anthropic.InternalServerError, "api_error"),
    529: (anthropic.OverloadedError, "overloaded_error"),
}


def test_errors(model):
    for status, (kind, name) in ERRORS.items():
        for stream in (False, True):
            with raises(kind) as e:
                messages.create(**ask(model, f"Hi [[simulate: status={status}]]", stream=stream))
            assert e.value.status_code == status and e.value.body["type"] == "error", e.value.body
            error = e.value.body["error"]
            assert error["type"] == name, error
            want = "credentials" if status == 401 else f"asked to answer with status {status}"
            assert want in error["message"], error


def test_error_within_stream(model):
    with raises(anthropic.APIStatusError) as e:
        for _ in messages.create(**ask(model, "Hi [[simulate: tokens=40 error-after=9 error-status=529]]", stream=True)):
            pass
    assert "asked to break this stream" in e.value.message, e.value


def test_cut_stream(model):
    with raises(anthropic.APIStatusError) as e:
        for _ in messages.create(**ask(model, "Hi [[simulate: tokens=40 cut-after=9]]", stream=True)):
            pass
    assert "ended before the answer was complete" in e.value.message, e.value


def test_retries(model):
    """The SDK waits as Retry-After says and asks again."""
    mark = f"retry-python-anthropic-{model}"
    begun = time.monotonic()
    with raises(anthropic.RateLimitError):
        client.with_options(max_retries=1).messages.create(**ask(model, f"{mark} [[simulate: status=429 retry-after=1]]"))
    assert time.monotonic() - begun >= 1, "did not wait"
    assert calls(mark) == 2, calls(mark)


def test_cancelled_stream(model):
    before = control("cancelled")
    with messages.stream(**ask(model, "Go on [[simulate: tokens=4000 delay=50ms]]")) as stream:
        for n, _ in enumerate(stream.text_stream):
            if n == 3:
                break
    eventually("the provider sees that the client left", lambda: control("cancelled") > before)


def test_async(model):
    async def go():
        async with anthropic.AsyncAnthropic(base_url=BASE_URL, api_key="sk-of-the-client") as c:
            whole, *streams = await asyncio.gather(c.messages.create(**ask(model, "How are you?")), *(collect(c) for _ in range(5)))
            assert all(s == text_of(whole) for s in streams), streams

    async def collect(c):
        async with c.messages.stream(**ask(model, "How are you?")) as stream:
            return text_of(await stream.get_final_message())

    asyncio.run(go())


def test_unknown_model():
    with raises(anthropic.NotFoundError) as e:
        messages.create(**ask("nobody", "Hi"))
    assert "sim-gemini" in e.value.message, e.value


def test_models():
    ids = [m.id for m in client.models.list()]
    assert ids == ["sim-" + s for s in SCHEMAS], ids
    assert client.models.retrieve("sim-gemini").id == "sim-gemini"
    with raises(anthropic.NotFoundError):
        client.models.retrieve("nobody")


def test_invalid_request():
    with raises(anthropic.BadRequestError) as e:
        messages.create(model="sim-openai", max_tokens=100, messages=[{"role": "robot", "content": json.dumps({})}])
    assert "role" in e.value.message and e.value.body["error"]["type"] == "invalid_request_error", e.value


def test_authentication():
    def caller(**credential):
        return anthropic.Anthropic(base_url=BASE_URL + "/guarded", max_retries=0, **credential)

    for credential in ({"api_key": "nk-nobody-0123456789abcdef"}, {"auth_token": "nk-nobody-0123456789abcdef"}):
        with raises(anthropic.AuthenticationError) as e:
            caller(**credential).messages.create(**ask("sim-anthropic", "Hi"))
        assert e.value.body["error"]["type"] == "authentication_error", e.value.body
    for credential in ({"api_key": CALLER_KEY}, {"auth_token": CALLER_KEY}):
        known = caller(**credential)
        assert text_of(known.messages.create(**ask("sim-anthropic", "Hi")))
        assert [m.id for m in known.models.list()] == ["sim-openai", "sim-anthropic"]
        with raises(anthropic.NotFoundError):
            known.messages.create(**ask("sim-gemini", "Hi"))
        with raises(anthropic.NotFoundError):
            known.messages.count_tokens(model="sim-gemini", messages=user("Hi"))


def test_limit():
    limited = anthropic.Anthropic(base_url=BASE_URL + "/limited", api_key="k", max_retries=0, default_headers={"x-mark": "python-anthropic"})
    assert text_of(limited.messages.create(**ask("sim-anthropic", "Hi")))
    with raises(anthropic.RateLimitError) as e:
        limited.messages.create(**ask("sim-anthropic", "Hi"))
    assert e.value.body["error"]["type"] == "rate_limit_error", e.value.body
    assert 1 <= int(e.value.response.headers["retry-after"]) <= 3720, e.value.response.headers
    assert e.value.response.headers["anthropic-ratelimit-requests-remaining"] == "0", e.value.response.headers
