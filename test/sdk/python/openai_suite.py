"""The package openai as a client."""

import asyncio
import json
import time

import openai
import pydantic

from suite import BASE_URL, CALLER_KEY, CLOCK, PNG, SCHEMAS, WEATHER, calls, control, eventually, raises

client = openai.OpenAI(base_url=BASE_URL + "/v1", api_key="sk-of-the-client", max_retries=0)
chat = client.chat.completions

TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "Tells the weather.", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "get_time", "description": "Tells the time.", "parameters": CLOCK}},
]


def user(text):
    return [{"role": "user", "content": text}]


def delta(chunk):
    return chunk.choices[0].delta.content or "" if chunk.choices else ""


def test_chat(model):
    r = chat.create(
        model=model,
        messages=[{"role": "system", "content": "Be kind."}, *user("How are you?")],
        max_completion_tokens=200,
    )
    choice = r.choices[0]
    assert choice.message.content.startswith("Hello, this is sim"), r
    assert choice.message.role == "assistant" and choice.finish_reason == "stop" and r.object == "chat.completion", r
    assert r.usage.prompt_tokens > 0 and r.usage.completion_tokens > 0, r.usage
    assert r.usage.total_tokens == r.usage.prompt_tokens + r.usage.completion_tokens, r.usage


def test_temperature(model):
    assert chat.create(model=model, messages=user("Hi"), temperature=0.5).choices[0].message.content


def test_unsupported():
    with raises(openai.BadRequestError) as e:
        chat.create(model="sim-anthropic", messages=user("Hi"), seed=1)
    assert e.value.param == "seed", e.value


def test_multi_turn(model):
    messages = user("First")
    first = chat.create(model=model, messages=messages).choices[0].message
    messages += [first.model_dump(exclude_none=True), *user("Second")]
    assert '"Second"' in chat.create(model=model, messages=messages).choices[0].message.content


def test_length(model):
    r = chat.create(model=model, messages=user("Hi [[simulate: tokens=50]]"), max_tokens=5)
    assert r.choices[0].finish_reason == "length" and r.usage.completion_tokens == 5, r


def test_stop(model):
    r = chat.create(model=model, messages=user("How are you?"), stop=[" simulated"])
    assert r.choices[0].finish_reason == "stop" and r.choices[0].message.content.endswith(" a"), r


def test_stream(model):
    whole = chat.create(model=model, messages=user("How are you?"))
    text, finish, used = "", None, None
    for chunk in chat.create(model=model, messages=user("How are you?"), stream=True, stream_options={"include_usage": True}):
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
            finish = chunk.choices[0].finish_reason or finish
        used = chunk.usage or used
    assert text == whole.choices[0].message.content and finish == "stop", (text, finish)
    assert used.completion_tokens == whole.usage.completion_tokens, used
    assert used.prompt_tokens == whole.usage.prompt_tokens, used


def test_stream_without_usage(model):
    for chunk in chat.create(model=model, messages=user("How are you?"), stream=True):
        assert chunk.usage is None, chunk
        assert len(chunk.choices) == 1 or model == "sim-azure" and chunk.prompt_filter_results, chunk


def test_stream_helper(model):
    with chat.stream(model=model, messages=user("How are you?")) as stream:
        deltas = "".join(e.delta for e in stream if e.type == "content.delta")
    final = stream.get_final_completion()
    assert deltas == final.choices[0].message.content and final.choices[0].finish_reason == "stop", final


def test_tools(model):
    messages = user("Call get_weather and get_time")
    first = chat.create(model=model, messages=messages, tools=TOOLS).choices[0]
    check_calls(first)
    answer_calls(model, messages, first.message)


def test_tools_streamed(model):
    messages = user("Call get_weather and get_time")
    with chat.stream(model=model, messages=messages, tools=TOOLS) as stream:
        pieces = sum(e.type == "tool_calls.function.arguments.delta" for e in stream)
    first = stream.get_final_completion().choices[0]
    assert pieces >= 2, pieces
    check_calls(first)
    answer_calls(model, messages, first.message)


def check_calls(choice):
    assert choice.finish_reason == "tool_calls", choice
    found = {c.function.name: json.loads(c.function.arguments) for c in choice.message.tool_calls}
    assert set(found) == {"get_weather", "get_time"}, found
    assert found["get_weather"]["unit"] in ("celsius", "fahrenheit") and "zone" in found["get_time"], found
    assert len({c.id for c in choice.message.tool_calls}) == 2, choice


def answer_calls(model, messages, message):
    turn = [*messages, message.model_dump(exclude_none=True)]
    for call in message.tool_calls:
        turn.append({"role": "tool", "tool_call_id": call.id, "content": f"result of {call.function.name}"})
    r = chat.create(model=model, messages=turn, tools=TOOLS, tool_choice="none")
    assert "result of" in r.choices[0].message.content and r.choices[0].finish_reason == "stop", r
    streamed = chat.create(model=model, messages=turn, tools=TOOLS, tool_choice="none", stream=True)
    assert "".join(map(delta, streamed)) == r.choices[0].message.content


def test_tool_choice(model):
    choice = {"type": "function", "function": {"name": "get_time"}}
    if model == "sim-ollama":  # its API has no tool_choice, which must be said
        with raises(openai.BadRequestError) as e:
            chat.create(model=model, messages=user("Hi"), tools=TOOLS, tool_choice=choice)
        assert e.value.param == "tool_choice", e.value
        return
    r = chat.create(model=model, messages=user("Hi"), tools=TOOLS, tool_choice=choice)
    assert [c.function.name for c in r.choices[0].message.tool_calls] == ["get_time"], r


class Step(pydantic.BaseModel):
    title: str
    minutes: int


class Recipe(pydantic.BaseModel):
    name: str
    steps: list[Step]


def test_structured_output(model):
    r = chat.parse(model=model, messages=user("A recipe"), response_format=Recipe)
    assert isinstance(r.choices[0].message.parsed, Recipe), r
    with chat.stream(model=model, messages=user("A recipe"), response_format=Recipe) as stream:
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, Recipe), final


def test_json_object(model):
    if model == "sim-anthropic":  # it takes a schema or nothing
        with raises(openai.BadRequestError) as e:
            chat.create(model=model, messages=user("JSON"), response_format={"type": "json_object"})
        assert e.value.param == "response_format", e.value
        return
    r = chat.create(model=model, messages=user("JSON"), response_format={"type": "json_object"})
    assert isinstance(json.loads(r.choices[0].message.content), dict), r


def test_embeddings(model):
    if model == "sim-anthropic":  # it has none
        with raises(openai.BadRequestError):
            client.embeddings.create(model=model, input="Hi")
        return
    r = client.embeddings.create(model=model, input=["river", "gateway"])
    assert [d.index for d in r.data] == [0, 1] and len(r.data[0].embedding) > 1, r
    assert r.data[0].embedding != r.data[1].embedding and isinstance(r.data[0].embedding[0], float)
    floats = client.embeddings.create(model=model, input="river", encoding_format="float")
    assert max(abs(a - b) for a, b in zip(floats.data[0].embedding, r.data[0].embedding, strict=True)) < 1e-6
    assert r.usage.prompt_tokens > 0, r.usage


def test_image(model):
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PNG}},
    ]
    r = chat.create(model=model, messages=[{"role": "user", "content": content}])
    if model != "sim-ollama":  # the simulator counts Ollama's images elsewhere
        assert "Attachments received: 1" in r.choices[0].message.content, r
    assert "What is this?" in r.choices[0].message.content, r


def test_reasoning(model):
    """Thoughts and their signatures go back in the next turn, tool results included: Anthropic and Gemini check them."""
    messages = user("Think, then call get_weather")
    r = chat.create(model=model, messages=messages, tools=TOOLS, reasoning_effort="high")
    message = r.choices[0].message
    check_reasoning(model, message)
    if model not in ("sim-anthropic", "sim-ollama"):  # these do not report it apart
        assert r.usage.completion_tokens_details.reasoning_tokens > 0, r.usage
    turn = [
        *messages,
        message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"},
    ]
    r = chat.create(model=model, messages=turn, tools=TOOLS, tool_choice="none", reasoning_effort="high")
    assert "sunny" in r.choices[0].message.content, r


def test_reasoning_streamed(model):
    messages = user("Think, then call get_weather")
    with chat.stream(model=model, messages=messages, tools=TOOLS, reasoning_effort="high") as stream:
        message = stream.get_final_completion().choices[0].message
    check_reasoning(model, message)
    turn = [
        *messages,
        message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"},
    ]
    r = chat.create(model=model, messages=turn, tools=TOOLS, tool_choice="none", reasoning_effort="high")
    assert "sunny" in r.choices[0].message.content, r


def check_reasoning(model, message):
    if model in ("sim-openai", "sim-azure"):  # their chat API keeps thoughts to itself
        return
    extra = message.model_extra
    assert extra.get("reasoning_content"), message
    if model in ("sim-anthropic", "sim-gemini"):
        assert any(d.get("signature") for d in extra["reasoning_details"]), message


def test_several_choices(model):
    if model in ("sim-anthropic", "sim-ollama"):
        with raises(openai.BadRequestError) as e:
            chat.create(model=model, messages=user("Hi"), n=2)
        assert e.value.param == "n", e.value
        return
    r = chat.create(model=model, messages=user("Hi"), n=2)
    assert [c.index for c in r.choices] == [0, 1], r


def test_legacy_completion(model):
    r = client.completions.create(model=model, prompt="Once upon a time", max_tokens=50)
    assert r.object == "text_completion" and r.choices[0].text and r.usage.total_tokens > 0, r
    text = "".join(c.choices[0].text for c in client.completions.create(model=model, prompt="Once upon a time", max_tokens=50, stream=True) if c.choices)
    assert text == r.choices[0].text, text


ERRORS = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    503: openai.InternalServerError,
}


def test_errors(model):
    for status, kind in ERRORS.items():
        for stream in (False, True):
            with raises(kind) as e:
                chat.create(model=model, messages=user(f"Hi [[simulate: status={status}]]"), stream=stream)
            assert e.value.status_code == status, e.value
            assert e.value.type and e.value.request_id, e.value
            want = "credentials" if status == 401 else f"asked to answer with status {status}"
            assert want in e.value.body["message"], e.value.body


def test_error_within_stream(model):
    with raises(openai.APIError) as e:
        for _ in chat.create(model=model, messages=user("Hi [[simulate: tokens=40 error-after=9 error-status=503]]"), stream=True):
            pass
    assert "asked to break this stream" in e.value.message, e.value


def test_cut_stream(model):
    with raises(openai.APIError) as e:
        for _ in chat.create(model=model, messages=user("Hi [[simulate: tokens=40 cut-after=9]]"), stream=True):
            pass
    assert "ended before the answer was complete" in e.value.message, e.value


def test_retries(model):
    """The SDK waits as Retry-After says and asks again."""
    mark = f"retry-python-openai-{model}"
    begun = time.monotonic()
    with raises(openai.RateLimitError):
        client.with_options(max_retries=1).chat.completions.create(
            model=model, messages=user(f"{mark} [[simulate: status=429 retry-after=1]]")
        )
    assert time.monotonic() - begun >= 1, "did not wait"
    assert calls(mark) == 2, calls(mark)


def test_cancelled_stream(model):
    before = control("cancelled")
    stream = chat.create(model=model, messages=user("Go on [[simulate: tokens=4000 delay=50ms]]"), stream=True)
    for n, _ in enumerate(stream):
        if n == 3:
            break
    stream.close()
    eventually("the provider sees that the client left", lambda: control("cancelled") > before)


def test_async(model):
    async def go():
        async with openai.AsyncOpenAI(base_url=BASE_URL + "/v1", api_key="sk-of-the-client") as c:
            whole, *streams = await asyncio.gather(
                c.chat.completions.create(model=model, messages=user("How are you?")), *(collect(c) for _ in range(5))
            )
            assert all(s == whole.choices[0].message.content for s in streams), streams

    async def collect(c):
        stream = await c.chat.completions.create(model=model, messages=user("How are you?"), stream=True)
        return "".join([delta(chunk) async for chunk in stream])

    asyncio.run(go())


def test_unknown_model():
    with raises(openai.NotFoundError) as e:
        chat.create(model="nobody", messages=user("Hi"))
    assert e.value.code == "model_not_found" and "sim-gemini" in e.value.message, e.value


def test_models():
    ids = [m.id for m in client.models.list()]
    assert ids == ["sim-" + s for s in SCHEMAS], ids
    assert client.models.retrieve("sim-gemini").id == "sim-gemini"
    with raises(openai.NotFoundError):
        client.models.retrieve("nobody")


def test_invalid_request():
    with raises(openai.BadRequestError) as e:
        chat.create(model="sim-anthropic", messages="Hi")
    assert e.value.param == "messages" and e.value.type == "invalid_request_error", e.value


def test_authentication():
    def caller(key):
        return openai.OpenAI(base_url=BASE_URL + "/guarded/v1", api_key=key, max_retries=0)

    for stream in (False, True):
        with raises(openai.AuthenticationError) as e:
            caller("nk-nobody-0123456789abcdef").chat.completions.create(model="sim-openai", messages=user("Hi"), stream=stream)
        assert e.value.code == "invalid_api_key" and "not valid here" in e.value.body["message"], e.value.body
    with raises(openai.AuthenticationError):
        caller("nk-nobody-0123456789abcdef").models.list()
    known = caller(CALLER_KEY)
    assert known.chat.completions.create(model="sim-openai", messages=user("Hi")).choices[0].message.content
    assert [m.id for m in known.models.list()] == ["sim-openai", "sim-anthropic"]
    with raises(openai.NotFoundError) as e:
        known.chat.completions.create(model="sim-gemini", messages=user("Hi"))
    assert e.value.code == "model_not_found" and "sim-openai" in e.value.body["message"], e.value.body
    azure = openai.AzureOpenAI(azure_endpoint=BASE_URL + "/guarded", api_key=CALLER_KEY, api_version="2024-10-21", max_retries=0)
    assert azure.chat.completions.create(model="sim-openai", messages=user("Hi")).choices[0].message.content


def test_limit():
    limited = openai.OpenAI(base_url=BASE_URL + "/limited/v1", api_key="k", max_retries=0, default_headers={"x-mark": "python-openai"})
    assert limited.chat.completions.create(model="sim-openai", messages=user("Hi")).choices[0].message.content
    for stream in (False, True):
        with raises(openai.RateLimitError) as e:
            limited.chat.completions.create(model="sim-openai", messages=user("Hi"), stream=stream)
        assert e.value.code == "rate_limit_exceeded" and "default/limited" in e.value.body["message"], e.value.body
        assert 1 <= int(e.value.response.headers["retry-after"]) <= 3720, e.value.response.headers
        assert e.value.response.headers["x-ratelimit-remaining-requests"] == "0", e.value.response.headers
