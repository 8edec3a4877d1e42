package trust

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/microtrust/microtrust/internal/pipe"
	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// answer is what a joiner's server says to a request of a courier.
type answer int

const (
	answerTaken   answer = iota // success, or that it has had this one before: a confirmation is taken then
	answerGoesOn                // success, and the joiner goes on to get the member set
	answerRefusal               // well-formed, and no success
	answerBusy                  // come back later
	answerNone                  // anything else, or nothing
	answerUnclear               // what net/http makes of it is not for this test to say
)

// errand is a request that a courier has made.
type errand struct {
	stop   bool
	reason string // of a stop
	answer answer
	at     time.Time
}

// doorstep is the server of a joiner of the older format, which behaves as a tape says.
type doorstep struct {
	t    testing.TB
	hall *olderHall
	id   *certstore.Identity // whose certificate the intent has
	own  []byte              // the body of this machine's own intent
	raw  []byte

	mu       sync.Mutex
	tape     *tape
	open     int // connections
	dialled  int
	proved   int // how often the certificate of the intent was proved
	requests []errand
}

func (d *doorstep) pick(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tape.pick(n)
}

// dial reaches it, or does not.
func (d *doorstep) dial(ctx context.Context, _, address string) (net.Conn, error) {
	assert.Equal(d.t, "127.0.0.1:9443", address)
	d.mu.Lock()
	d.dialled++
	d.mu.Unlock()
	certificate := d.id.TLSCertificate()
	switch d.pick(12) {
	case 1:
		return nil, syscall.ECONNREFUSED
	case 2:
		<-ctx.Done()
		return nil, context.Cause(ctx)
	case 3:
		certificate = d.hall.people[3].TLSCertificate()
	case 4:
		certificate.Certificate = nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open++
	here, there := pipe.New(&net.TCPAddr{Port: 1}, &net.TCPAddr{Port: 9443})
	go func() {
		d.serve(tls.Server(there, &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAnyClientCert}))
		there.Close()
		d.mu.Lock()
		defer d.mu.Unlock()
		d.open--
	}()
	return here, nil
}

// serve answers the requests over one connection.
func (d *doorstep) serve(conn *tls.Conn) {
	if conn.Handshake() != nil {
		return
	}
	state := conn.ConnectionState()
	assert.Equal(d.t, d.hall.store.Identity().Certificate().Raw, state.PeerCertificates[0].Raw)
	d.mu.Lock()
	d.proved++
	d.mu.Unlock()
	for in := bufio.NewReader(conn); ; {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || !d.answer(conn, r, body) {
			return
		}
	}
}

// answer checks a request and says something, or ends the connection.
func (d *doorstep) answer(conn net.Conn, r *http.Request, body []byte) (goesOn bool) {
	made := errand{stop: r.Method == http.MethodPut, at: time.Now()}
	if made.stop {
		var err error
		made.reason, err = microcloudwire.ParseStop(body)
		assert.NoError(d.t, err)
		assert.Equal(d.t, microcloudwire.StopPath, r.URL.Path)
	} else {
		assert.Equal(d.t, http.MethodPost+" "+microcloudwire.JoinPath, r.Method+" "+r.URL.Path)
		assert.Equal(d.t, "the header", r.Header.Get("Authorization"))
		assert.Equal(d.t, d.own, body)
		assert.True(d.t, d.hall.store.Snapshot().Trusts(d.id.Fingerprint()), "nobody is confirmed who was not admitted")
	}
	said, whole := d.reply()
	if made.answer = d.meaning(said, made.stop); !whole && made.answer != answerUnclear {
		made.answer = answerNone
	}
	if !whole {
		said = said[:len(said)/2]
	}
	d.mu.Lock()
	d.requests = append(d.requests, made)
	d.mu.Unlock()
	_, err := conn.Write(said)
	return err == nil && whole
}

// reply is what it says, and whether that is all of it.
func (d *doorstep) reply() (said []byte, whole bool) {
	reply := func(status int, header http.Header, body []byte) []byte {
		var b bytes.Buffer
		resp := &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: header, ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body))}
		assert.NoError(d.t, resp.Write(&b))
		return b.Bytes()
	}
	switch kind := d.pick(10); kind {
	default:
		return reply(200, nil, microcloudwire.Success()), true
	case 1:
		return reply(200, http.Header{goesOnHeader: {"1"}}, microcloudwire.Success()), true
	case 2:
		return reply(400, nil, microcloudwire.Failure(400, microcloudwire.TextDuplicate)), true
	case 3:
		return reply(500, nil, microcloudwire.Failure(500, "not now")), true
	case 4:
		return reply(503, http.Header{"Retry-After": {[]string{"1", "60", "x"}[d.pick(3)]}}, microcloudwire.Failure(503, "busy")), true
	case 5:
		return d.raw, true
	case 6:
		return reply(200, nil, microcloudwire.Success()), false
	case 7:
		return reply(200, nil, []byte(`{"type":`)), true
	case 8:
		return nil, true // and the connection stays
	}
}

// meaning is what a reply is to a courier.
func (d *doorstep) meaning(said []byte, stop bool) answer {
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(said)), &http.Request{Method: http.MethodPost})
	if err != nil || resp.StatusCode < 200 || bytes.Equal(said, d.raw) && len(said) > 4<<10 {
		if len(said) == 0 {
			return answerNone
		}
		return answerUnclear
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.ContentLength < 0 { // without a length, it ends with the connection
		return answerUnclear
	}
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
		return answerBusy
	}
	err = microcloudwire.ParseReply(resp.StatusCode, body)
	var refused *microcloudwire.ReplyError
	switch {
	case err == nil && resp.Header.Get(goesOnHeader) != "" && !stop:
		return answerGoesOn
	case err == nil, errors.As(err, &refused) && refused.Text == microcloudwire.TextDuplicate:
		return answerTaken
	}
	return answerRefusal
}

// errands is a session that is open for the older format, with one joiner that has made an offer.
type errands struct {
	*olderHall
	door    *doorstep
	courier *courier
	left    int  // how many requests had been made when the joiner left; -1: it has not
	came    bool // as a member
	ended   time.Time
	running sync.WaitGroup
}

func newErrands(t *testing.T, people []*certstore.Identity, behaviour *tape, raw []byte) *errands {
	e := &errands{olderHall: newOlderHall(t, people), left: -1}
	e.open()
	e.door = &doorstep{t: t, hall: e.olderHall, id: people[2], own: []byte("this machine's own intent"), raw: raw, tape: behaviour}
	e.store.DialWith(e.door.dial)
	e.mc.own.once.Do(func() { // nothing is derived
		e.mc.own.header, e.mc.own.body = "the header", e.door.own
		close(e.mc.own.ready)
	})
	in := microcloudwire.Intent{Name: "micro02", Address: "127.0.0.1:9443", Certificate: people[2].Certificate(), Services: e.session.Services()}
	require.NoError(t, e.mc.take(t.Context(), in, &exchange{source: netip.IPv6Loopback(), now: time.Now()}))
	e.courier = e.svc.couriers.of(people[2].Fingerprint())[0]
	e.running.Go(func() {
		<-e.session.Ended()
		e.ended = time.Now()
	})
	return e
}

// do is what the person, or the joiner, does next.
func (e *errands) do(p *tape) {
	id := e.courier.id
	before, _ := e.session.Lookup(id)
	switch p.pick(7) {
	case 0, 6:
		e.running.Go(func() {
			err := e.session.Approve(context.Background(), id)
			now, _ := e.session.Lookup(id)
			assert.True(e.tt, err != nil || now.State == session.StateAdmitted || now.State == session.StateJoined, now.State)
		})
	case 1:
		_ = e.session.Deny(id, "not today")
	case 2:
		err := e.mc.stop(e.door.id.Fingerprint(), "changed my mind")
		require.NoError(e.tt, err)
		if !before.State.Final() && e.left < 0 {
			e.left = len(e.door.requests)
		}
	case 3:
		e.came = e.session.Confirm(id) == nil || e.came
	case 4:
		e.session.Close(&session.StoppedError{Reason: "lunch"})
	case 5:
		e.mc.Close()
	}
}

// check is when all is over.
func (e *errands) check() {
	j, known := e.session.Lookup(e.courier.id)
	require.True(e.tt, known)
	d := e.door
	require.Zero(e.tt, d.open, "every connection is closed")
	stored := j.State == session.StateAdmitted || j.State == session.StateJoined
	require.Equal(e.tt, stored, e.store.Snapshot().Trusts(d.id.Fingerprint()))
	require.False(e.tt, stored && d.proved == 0, "nobody is admitted who has not proved the key")
	if e.left >= 0 {
		require.Len(e.tt, d.requests, e.left, "who has left hears nothing more")
	}
	var taken, unclear, told, late bool
	for i, r := range d.requests {
		last := i == len(d.requests)-1
		unclear = unclear || r.answer == answerUnclear
		if r.stop {
			require.Contains(e.tt, []session.State{session.StateDenied, session.StateFailed}, j.State)
			require.Equal(e.tt, reasonOf(j.Cause), r.reason)
			told = r.answer != answerNone && r.answer != answerBusy
			require.True(e.tt, last || !told || unclear, "who has heard is left alone")
			continue
		}
		taken = taken || r.answer == answerTaken
		late = r.at.Equal(e.ended)
		settled := r.answer == answerTaken || r.answer == answerGoesOn
		require.True(e.tt, last || !settled || unclear, "who has taken it is left alone")
	}
	if !unclear {
		joined := j.State == session.StateJoined
		require.True(e.tt, joined == (taken || e.came) || taken && late, "%v %v", d.requests, j.State) // late: the end may overtake the answer
	}
	if !stored && e.left < 0 {
		require.Positive(e.tt, d.dialled, "the end is told")
	}
}

// FuzzCourier lets a courier serve a joiner of the older format, whose server cannot be reached, is another one, hangs, breaks off, is busy
// or says anything at any moment, while the person decides, the joiner leaves or comes as a member, and the session ends: nobody is
// admitted who has not proved the key, and nobody confirmed who was not admitted; the confirmation is brought until it is taken, once;
// the end is told to whoever has not left; and then the courier is gone with all its connections, in time.
func FuzzCourier(f *testing.F) {
	f.Add([]byte{3, 0}, []byte{}, []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
	f.Add([]byte{3, 0, 40, 4}, []byte{0, 3, 0, 4, 0, 0, 6, 0, 7, 1, 2, 0, 8, 0, 2}, []byte(nil))
	f.Add([]byte{3, 0, 3, 2}, []byte{0, 4, 1}, []byte(nil))
	f.Add([]byte{3, 0, 200, 3}, []byte{0, 1}, []byte(nil))
	f.Add([]byte{1, 1}, []byte{1, 2, 3, 4, 0, 6, 0, 3}, []byte(nil))
	f.Add([]byte{0, 0, 100, 0, 100, 4}, []byte{3, 4, 1, 1, 1, 0, 5, 0, 5}, []byte("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 9\r\n\r\n"))
	f.Add([]byte{0, 2}, []byte{}, []byte(nil))
	f.Add([]byte{0, 0, 0, 4}, append([]byte{0, 6}, bytes.Repeat([]byte{1}, 42)...), []byte(nil)) // about to be confirmed when the session ends
	var people []*certstore.Identity
	f.Fuzz(func(t *testing.T, script, behaviour, raw []byte) {
		synctest.Test(t, func(t *testing.T) {
			if people == nil {
				people = older(t) // in a bubble, where the time is that of all others
			}
			e := newErrands(t, people, &tape{slices.Clone(behaviour[:min(len(behaviour), longestTape)])}, raw)
			begun, acts := time.Now(), 0
			for p := (&tape{script[:min(len(script), 16)]}); p.more(); acts++ {
				time.Sleep(time.Duration(p.pick(256)) * 100 * time.Millisecond)
				synctest.Wait()
				e.do(p)
			}
			time.Sleep(3 * time.Minute) // longer than it waits for anything
			e.session.Close(nil)
			<-e.session.Ended()
			ended := time.Now()
			<-e.courier.done
			require.LessOrEqual(t, time.Since(ended), tellPatience)
			e.running.Wait()
			synctest.Wait()
			e.check()
			most := 10*(acts+2) + int(time.Since(begun)/(maxBackOff*3/4))
			require.LessOrEqual(t, e.door.dialled, most, "it is not called all the time")
			e.store.Close()
		})
	})
}
