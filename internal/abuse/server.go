package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// serverTold is what the daemon under attack is told.
type serverTold struct {
	MicroCloud bool
	Host       string // that it listens at
}

// serverSays is what everybody else needs of it. The cluster is one that a stranger would have to have heard of.
type serverSays struct {
	Address, Passphrase, Fingerprint, Cluster string
}

// serverCount is what it answers at the end.
type serverCount struct {
	Open        bool
	WrongProofs int64
	Joined      int
}

// serve is a daemon as the README shows it, with all its defaults, and a session that admits whoever proves the passphrase.
func serve(ctx context.Context, in *json.Decoder, out *json.Encoder) error {
	var told serverTold
	if err := in.Decode(&told); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "abuse")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	id, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: serverName})
	if err != nil {
		return err
	}
	store, err := certstore.Open(dir, id)
	if err != nil {
		return err
	}
	defer store.Close()
	listener, err := net.Listen("tcp", net.JoinHostPort(told.Host, "0"))
	if err != nil {
		return err
	}
	if err := store.Bootstrap(ctx, listener.Addr().String()); err != nil {
		return err
	}
	svc, err := trust.NewService(trust.Config{
		Store: store, Logger: slog.New(slog.NewJSONHandler(io.Discard, nil)), MicroCloud: trust.MicroCloudRoles{Initiator: told.MicroCloud},
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(trust.MemberPath, svc.Handler())
	srv := &http.Server{Handler: store.Require(mux), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	if err := svc.Attach(srv); err != nil {
		return err
	}
	go srv.ServeTLS(store.Guard(listener), "", "")
	defer srv.Close()
	return admit(ctx, svc, store, listener.Addr().String(), told, in, out)
}

// admit opens the session, says where, and answers how it stands until nobody asks any more.
func admit(ctx context.Context, svc *trust.Service, store *certstore.Store, address string, told serverTold,
	in *json.Decoder, out *json.Encoder) error {
	s, err := svc.Open(ctx, session.Config{
		Timeout: 30 * time.Minute, MaxJoiners: session.MaxJoiners, Policy: func(session.Offer) session.Decision { return session.Accept },
	})
	if err != nil {
		return err
	}
	if told.MicroCloud {
		if _, err := svc.OpenMicroCloud(s, trust.MicroCloudConfig{Address: address}); err != nil {
			return err
		}
	}
	cluster, _ := store.Cluster()
	says := serverSays{address, s.Passphrase().Reveal(), store.Identity().Fingerprint().String(), cluster.String()}
	if err := out.Encode(says); err != nil {
		return err
	}
	for {
		var question struct{}
		if err := in.Decode(&question); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		count := serverCount{Open: s.Open(), WrongProofs: s.WrongProofs()}
		for _, j := range s.Joiners() {
			if j.State == session.StateJoined {
				count.Joined++
			}
		}
		if err := out.Encode(count); err != nil {
			return err
		}
	}
}
