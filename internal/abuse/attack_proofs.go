package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/trust"
)

// proofs guess the passphrase, as fast as the server lets them: each is one hello and one wrong proof.
func (a *attacker) proofs() (units int) {
	s, err := a.speak(trust.Protocol)
	if err != nil {
		return 1
	}
	defer s.close()
	for ; a.ctx.Err() == nil; units++ {
		if err := a.guess(s); err != nil {
			return units + 1
		}
	}
	return units
}

// guess tries one passphrase. It returns an error when the connection is of no use any more.
func (a *attacker) guess(s *spoken) error {
	hello := helloBody()
	status, reply, err := s.ask(post("hello", "", hello))
	if err != nil || status != http.StatusOK {
		return err
	}
	wrong, err := hmacauth.ParsePassphrase("certainly not the passphrase")
	if err != nil {
		return err
	}
	state := s.conn.ConnectionState()
	var sent, said map[string]string
	if err := errors.Join(json.Unmarshal(hello, &sent), json.Unmarshal(reply, &said)); err != nil {
		return err
	}
	public := hmacauth.Handshake{Initiator: certstore.FingerprintOf(state.PeerCertificates[0]), Joiner: s.id.Fingerprint()}
	var ya hmacauth.Share
	for into, text := range map[*[16]byte]string{
		&public.NonceJoiner: sent["nonce"], &public.ID: said["handshake"], &public.NonceInitiator: said["nonce"],
	} {
		if _, err := hex.Decode(into[:], []byte(text)); err != nil {
			return err
		}
	}
	_, err = hex.Decode(public.Session[:], []byte(said["session"]))
	_, errShare := hex.Decode(ya[:], []byte(said["share"]))
	if err := errors.Join(err, errShare); err != nil {
		return err
	}
	share, keys, err := hmacauth.Respond(wrong.Secret(), public, ya, hmacauth.HelloHash(hello, reply), rand.Reader)
	if err != nil {
		return err
	}
	q := hmacauth.Request{Handshake: public.ID, Sequence: 1, Endpoint: hmacauth.EndpointJoin, Body: []byte(`{"name":"stranger"}`)}
	creds := hmacauth.Credentials{Handshake: q.Handshake, Sequence: 1, Share: share, MAC: keys.SignRequest(q)}
	_, _, err = s.ask(post(hmacauth.EndpointJoin, "Authorization: "+hmacauth.FormatAuthorization(creds)+"\r\n", q.Body))
	return err
}
