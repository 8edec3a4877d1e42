package wire_test

import (
	"encoding/json"
	"fmt"

	"github.com/microtrust/microtrust/internal/wire"
)

func ExampleNewFields() {
	fmt.Printf("%x\n", wire.NewFields("l").String("ab").Encoding())
	// Output: 000000016c000000026162
}

func ExampleReadFields() {
	data := wire.NewFields("member").String("micro01").Strings([]string{"10.0.0.1:9443", "[2001:db8::1]:9443"}).Encoding()

	r := wire.ReadFields(data, "member")
	name := r.String(63)
	addresses := make([]string, r.Count(16))
	for i := range addresses {
		addresses[i] = r.String(255)
	}
	if err := r.Close(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(name, addresses)
	// Output: micro01 [10.0.0.1:9443 [2001:db8::1]:9443]
}

func ExampleDecodeJSON() {
	var intent struct {
		Name     string            `json:"name"`
		Services map[string]string `json:"services,omitempty"`
		Ext      json.RawMessage   `json:"ext,omitempty"`
	}
	fmt.Println(wire.DecodeJSON([]byte(`{"name":"micro01","ext":{"later":1}}`), &intent))
	fmt.Println(wire.DecodeJSON([]byte(`{"name":"micro01","services":{"ceph":"1","ceph":"2"}}`), &intent))
	// Output:
	// <nil>
	// malformed JSON: member "services.ceph": stands twice
}

func ExampleEncodeJSON() {
	text, err := wire.EncodeJSON(struct {
		Name string `json:"name"`
	}{"<micro01>"})
	fmt.Println(string(text), err)
	// Output: {"name":"<micro01>"} <nil>
}
