package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// A Property is one parameter of a tool, as far as the model is shown it.
type Property struct {
	Name        string
	Type        string
	Description string
	Enum        []string
	Properties  []Property // of an object, or of the objects in an array
}

// maxDepth is how deep Properties goes. Deeper schemas are cut there: they would cost time, and no model gets them.
const maxDepth = 16

type schema struct {
	Type        json.RawMessage   `json:"type"`
	Description string            `json:"description"`
	Enum        []json.RawMessage `json:"enum"`
	Properties  json.RawMessage   `json:"properties"`
	Items       json.RawMessage   `json:"items"`
}

// Properties returns the properties that a JSON schema gives an object, in its order. It follows neither references nor
// alternatives (anyOf and the like). A schema that is not a JSON object is an error.
func Properties(jsonSchema []byte) ([]Property, error) {
	if len(jsonSchema) == 0 {
		return nil, nil
	}
	ps, err := objectOf(jsonSchema, maxDepth)
	if err != nil {
		return nil, fmt.Errorf("chat: parameters of a tool: %w", err)
	}
	return ps, nil
}

func objectOf(raw json.RawMessage, depth int) ([]Property, error) {
	s, err := parse(raw)
	if err != nil || depth == 0 {
		return nil, err
	}
	return s.properties(depth)
}

// parse reads a schema; true and false are schemas too, of anything and nothing.
func parse(raw json.RawMessage) (s schema, err error) {
	if raw = bytes.TrimSpace(raw); bytes.Equal(raw, []byte("true")) || bytes.Equal(raw, []byte("false")) {
		return s, nil
	}
	return s, json.Unmarshal(raw, &s)
}

// properties returns those of an object, or of the items of an array.
func (s *schema) properties(depth int) ([]Property, error) {
	if len(s.Properties) == 0 {
		if items := bytes.TrimSpace(s.Items); len(items) > 0 && items[0] == '{' {
			return objectOf(items, depth-1)
		}
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(s.Properties))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.Join(errors.New("properties: want an object"), err)
	}
	var ps []Property
	for d.More() {
		p, err := property(d, depth)
		if err != nil {
			return nil, err
		}
		ps = append(ps, p)
	}
	return ps, nil
}

func property(d *json.Decoder, depth int) (p Property, err error) {
	name, err := d.Token()
	if err != nil {
		return p, err
	}
	p.Name, _ = name.(string)
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return p, err
	}
	s, err := parse(raw)
	if err != nil {
		return p, fmt.Errorf("%s: %w", p.Name, err)
	}
	p.Type, p.Description = plain(s.Type), s.Description
	for _, item := range s.Enum {
		p.Enum = append(p.Enum, plain(item))
	}
	if depth > 1 {
		p.Properties, err = s.properties(depth - 1)
	}
	return p, err
}

// plain returns a JSON string without its quotes, and anything else as it is written.
func plain(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}
