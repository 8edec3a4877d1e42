package microcloud_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/microtrust/microtrust/hmacauth/microcloud"
)

// receive answers requests that must carry a code.
func receive(deriver *microcloud.Deriver, passphrase microcloud.Passphrase) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		header, err := microcloud.Parse(r.Header.Get("Authorization"))
		if err != nil {
			refuse(w, err)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err != nil {
			http.Error(w, "the body is too large, or ended early", http.StatusBadRequest)
			return
		}
		if err = deriver.Verify(r.Context(), passphrase, header, body); err != nil {
			refuse(w, err)
			return
		}
		_, _ = io.WriteString(w, "welcome")
	}
}

func refuse(w http.ResponseWriter, err error) {
	status, text := microcloud.Answer(err)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// send posts a body with that header and prints the reply.
func send(ctx context.Context, url, header string, body []byte) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		fmt.Println(err)
		return
	}
	request.Header.Set("Authorization", header)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = response.Body.Close() }()
	text, _ := io.ReadAll(response.Body)
	fmt.Printf("%d %s\n", response.StatusCode, text)
}

// A sender that signs two bodies with one derivation, and a receiver that knows the same passphrase.
func Example() {
	ctx := context.Background()
	passphrase, err := microcloud.NewPassphrase("koala amulet bronze violin")
	if err != nil {
		fmt.Println(err)
		return
	}
	deriver, err := microcloud.NewDeriver(microcloud.DeriverConfig{}) // one for the whole process
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(receive(deriver, passphrase))
	defer server.Close()

	key, err := deriver.NewKey(ctx, passphrase)
	if err != nil {
		fmt.Println(err)
		return
	}
	first, second := []byte(`{"name":"micro02"}`), []byte(`{"name":"micro03"}`)
	send(ctx, server.URL, key.Sign(first), first)
	send(ctx, server.URL, key.Sign(second), second)
	send(ctx, server.URL, key.Sign(first), second)
	send(ctx, server.URL, "MicroCloud-2.0 00:00", second)
	send(ctx, server.URL, "MicroCloud-1.0 00:00", second)
	send(ctx, server.URL, "", second)
	// Output:
	// 200 welcome
	// 200 welcome
	// 403 Invalid HMAC
	// 400 Authorization header uses version "MicroCloud-2.0" but expected "MicroCloud-1.0"
	// 400 Failed to parse Authorization header: the code must have 32 bytes
	// 400 Authorization header is missing
}

func ExampleNewDeriver() {
	_, err := microcloud.NewDeriver(microcloud.DeriverConfig{Parallel: 1000})
	fmt.Println(err)
	// Output: microcloud: Parallel must be 1 to 64, or 0 for 2
}

func ExampleNewPassphrase() {
	passphrase, err := microcloud.NewPassphrase("koala amulet bronze violin")
	fmt.Println(passphrase, err)
	// Output: [redacted] <nil>
}

// The form without key derivation.
func ExampleNewRawKey() {
	key, err := microcloud.NewRawKey("Other-1.0", make([]byte, 32)) // random, in earnest
	if err != nil {
		fmt.Println(err)
		return
	}
	body := []byte(`{"name":"micro02"}`)
	value := key.Sign(body)
	fmt.Println(value)
	header, err := microcloud.ParseRaw("Other-1.0", value)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(key.Verify(header, body), key.Verify(header, append(body, '\n')))
	// Output:
	// Other-1.0 9397ee1b52f84dc605bd4eadd629e9eb28a5aa6918b43c62c5288f16daf1b4fc
	// <nil> microcloud: message authentication failed
}
