/* The join of docs/protocol.md, for spin. What is claimed and what is left out: join.md. Sections in quotes are those of
 * docs/protocol.md.
 *
 * Each run of a honest machine is a process: I1 and I2 as initiator, J1 and J2 as joiner, on the machines A and B in any
 * combination. Everything between them belongs to the attacker E. There are no channels: a run takes for a field whatever somebody
 * has said in one, or a value of E's own, and a MAC only if a honest run has sent that very MAC, or E has the key. TLS protects
 * nothing here: E makes each run see any certificate, and reads and changes everything. The nonce, share and intent of a run go
 * by the name of the run; the ids of handshake and session stand and fall with the initiator's nonce. Signed requests are
 * numbered 1 join, 2 and 3 result (pages 0 and 1), 4 done.
 */
mtype = { identity, B, A, E, J2, J1, I2, I1 }  /* numbered from the right, from 1 */
#define RUNS      5                            /* indexed by I1 to J2 */
#define MACHINES  8                            /* indexed by A and B */
#ifndef BUDGET
#define BUDGET 2                               /* wrong proofs that a machine allows, as initiator and as joiner */
#endif

typedef Run {
  byte me, peer;                               /* own certificate, and the one seen in TLS */
  bit fresh;                                   /* the secret: of this session, or an old one, which E knows */
  byte nJ, nI, ya, yb, intent;                 /* as drawn, or as received */
  bit said;                                    /* hello, or its reply */
  byte sent;                                   /* number of the last signed message */
  bit page0, page1;                            /* versions of the member set, as delivered or as received */
  byte with, taken;                            /* ghosts: run whose MAC was taken first; set of the requests processed */
};
Run p[RUNS];
bit version;                                   /* of the member set, at all members */
byte left[MACHINES] = BUDGET, guesses[MACHINES];   /* of initiators: attempts left; guesses that E has tested */
byte leftJ[MACHINES] = BUDGET, guessesJ[MACHINES]; /* of joiners */

/* ---- "Key exchange", "Key schedule": two runs have the same key if they agree on all that enters it. */

#define isI(r)    (r <= I2)
#define eq(x,y,f) (p[x].f == p[y].f)
#define certI(r)  (isI(r) -> p[r].me : p[r].peer)
#define certJ(r)  (isI(r) -> p[r].peer : p[r].me)
#ifdef NO_INITIATOR_CERT
#define sameI(x,y) true
#else
#define sameI(x,y) (certI(x) == certI(y))
#endif
#ifdef NO_JOINER_CERT
#define sameJ(x,y) true
#else
#define sameJ(x,y) (certJ(x) == certJ(y))
#endif
#ifdef NO_CERTS_IN_CI
#define ci(x,y)    true
#else
#define ci(x,y)    (sameI(x,y) && sameJ(x,y))
#endif
#ifdef NO_CERTS_IN_KEYS
#define info(x,y)  true
#else
#define info(x,y)  (sameI(x,y) && sameJ(x,y))
#endif
#ifdef NO_NONCES
#define sid(x,y)   true
#else
#define sid(x,y)   (eq(x,y,nJ) && eq(x,y,nI))
#endif
#define sameKey(x,y) (eq(x,y,fresh) && ci(x,y) && sid(x,y) && eq(x,y,ya) && eq(x,y,yb) && info(x,y))
#define theirs(r)  (isI(r) -> p[r].yb : p[r].ya)
#define hasKey(r)  (theirs(r) == identity || theirs(r) == E && !p[r].fresh) /* E: has the other scalar, and the secret */

/* ---- "Signed messages", "Sequence numbers": run r waits for number n, and run x has sent a MAC that it takes for that. */

#ifdef NO_DIRECTION                            /* neither labels nor directions */
#define toward(x)   true
#else
#define toward(x)   (isI(x) != isI(r))
#endif
#ifdef NO_REQUEST_MAC                          /* so that nothing shows whether it is a reply, nor to what */
#define answers(x)  true
#else
#define answers(x)  (isI(x) && eq(x,r,intent))
#endif
#define request(x,m) (sameKey(x,r) && toward(x) && p[x].sent >= m)
#define reply(x)     (sameKey(x,r) && toward(x) && answers(x) && p[x].sent >= n)

inline flip(b) {                               /* a body that the MAC does not cover is E's */
#ifdef NO_BODY
  if :: b = 1 - b :: skip fi
#else
  skip
#endif
}

/* ---- Steps of both roles, and what is claimed */

inline begin(r) {
  if :: p[r].me = A :: r != I1 -> p[r].me = B fi;     /* (I1 on A: the machines are alike) */
  if                                           /* "Channel": equal fingerprints are refused */
  :: p[r].me != A -> p[r].peer = A
  :: p[r].me != B -> p[r].peer = B
  :: p[r].peer = E
#ifdef NO_EQUAL_CERTS
  :: p[r].peer = p[r].me
#endif
  fi;
  if :: p[r].fresh = 1 :: r == I2 || r == J2 -> p[r].fresh = 0 fi;
  p[r].said = 1
}

inline receive(x, said1, run1, said2, run2) {  /* a field that nothing protects yet */
  if :: x = E :: said1 -> x = run1 :: said2 -> x = run2 fi
}

inline receiveShare(r, x, said1, run1, said2, run2) {
  if                                           /* "Key exchange": the identity is refused */
  :: x = E :: said1 -> x = run1 :: said2 -> x = run2
#ifdef NO_IDENTITY
  :: x = identity
#endif
  fi;
  if :: p[r].fresh && hasKey(r) -> printf("%e on %e: share %e, so that E has its key\n", r, p[r].me, x) :: else fi;
  assert(!(p[r].fresh && hasKey(r)))           /* SECRECY */
}

inline agree(r, e) {                           /* AGREEMENT of r with e, whose MAC it took: it is the run of the machine that r believes */
  if                                           /* to talk to, in the other role, about the same two certificates and the same intent */
  :: p[r].fresh ->
     assert(isI(e) != isI(r));
     assert(p[e].me == p[r].peer && p[e].peer == p[r].me && p[e].me != p[r].me);
     assert(eq(e, r, intent));
     assert(e == p[r].with);
     assert(p[(isI(r) -> I1 + I2 : J1 + J2) - r].with != e)  /* INJECTIVE: it did not answer another run of this role too */
  :: else
  fi
}

inline guess(count) {                          /* GUESSES: no more than are allowed */
  count++;
  assert(count <= BUDGET)
}

inline forget(r) { p[r].peer = 0; p[r].fresh = 0; p[r].nJ = 0; p[r].yb = 0 }
inline grow()    { if :: version = 1 :: skip fi }     /* somebody else may have joined */

proctype initiator(byte r) {
  byte e, m, n, b;
  atomic {                                     /* "hello" */
    r == I1 || p[I1].said;                     /* (the runs are alike) */
    begin(r);
    receive(p[r].nJ, p[J1].said, J1, p[J2].said, J2);
#ifdef NO_FRESH_INITIATOR
    p[r].nI = I1; p[r].ya = I1;                /* the same values in each handshake */
#else
    p[r].nI = r; p[r].ya = r;
#endif
    printf("%e on %e, secret %d, sees certificate %e: hello with nonce %e, answers with its own\n", r, p[r].me, p[r].fresh, p[r].peer, p[r].nJ)
  }
  atomic {                                     /* "join", "Counting guesses": the attempt is reserved before it is verified */
    left[p[r].me] > 0;
#ifndef NO_RESERVATION
    left[p[r].me]--;
#endif
#ifdef NO_PROOF_FIRST                          /* E learns from the reply whether its guess was right, and is gone */
    printf("%e on %e: join arrives and is answered\n", r, p[r].me);
    left[p[r].me]++; guess(guesses[p[r].me]); goto over;
#endif
    printf("%e on %e: join arrives\n", r, p[r].me)
  }
  atomic {
    receiveShare(r, p[r].yb, p[J1].sent, J1, p[J2].sent, J2);
    if
    :: request(I1,1) -> e = I1 :: request(I2,1) -> e = I2 :: request(J1,1) -> e = J1 :: request(J2,1) -> e = J2
    :: hasKey(r) -> forget(r); goto over       /* E knows all that this run will ever say; nothing is claimed for an old secret */
    :: printf("%e on %e: wrong proof\n", r, p[r].me);
       if :: p[r].fresh -> guess(guesses[p[r].me]) :: else fi;
#ifdef NO_RESERVATION
       left[p[r].me]--;
#endif
       forget(r); goto over                    /* one verification for each handshake */
    fi;
#ifndef NO_RESERVATION
    left[p[r].me]++;                           /* given back */
#endif
    p[r].with = e; p[r].intent = p[e].intent;
#ifdef NO_BODY
    if :: p[r].intent = E :: skip fi;
#endif
    printf("%e on %e: the proof of %e holds, intent %e\n", r, p[r].me, e, p[r].intent);
    agree(r, e);
    p[r].sent = 1; p[r].taken = 2; n = 2; e = 0
  }
  do                                           /* "result", "done" */
  :: atomic {
       if
       :: request(I1,n) -> e = I1; m = n :: request(I2,n) -> e = I2; m = n
       :: request(J1,n) -> e = J1; m = n :: request(J2,n) -> e = J2; m = n
#ifdef NO_SEQUENCE
       :: n == 3 && request(J1,2) -> e = J1; m = 2 :: n == 3 && request(J2,2) -> e = J2; m = 2
#endif
       fi;
       printf("%e on %e: request %d of %e\n", r, p[r].me, m, e);
       agree(r, e);
       assert(!p[r].fresh || !(p[r].taken & (1 << m))); /* NOTHING TWICE */
       p[r].taken = p[r].taken | (1 << m);
       if
       :: n == 2 -> grow(); p[r].page0 = version; p[r].page1 = version /* frozen when it is first delivered */
#ifdef NO_FREEZE
       :: n == 3 -> grow(); p[r].page1 = version
#else
       :: n == 3
#endif
       :: n == 4 ->
          b = p[e].page0; flip(b);
#ifndef NO_DONE_DIGEST
          if :: b != p[r].page0 -> goto over :: else fi;
#endif
          assert(!p[r].fresh || eq(e, r, page0) && eq(e, r, page1)) /* AGREEMENT on the member set: what e has stored */
       fi;
       p[r].sent = n; e = 0; m = 0; b = 0;
       if :: n == 4 -> break :: else -> n++ fi
     }
  od;
over: skip
}

proctype joiner(byte r) {
  byte e, n, b;
  atomic {                                     /* "hello" */
    r == J1 || p[J1].said;
    begin(r);
#ifdef NO_FRESH_JOINER
    p[r].nJ = J1; p[r].yb = J1; p[r].intent = J1;
#else
    p[r].nJ = r; p[r].yb = r; p[r].intent = r;
#endif
    printf("%e on %e, secret %d, sees certificate %e: sends hello\n", r, p[r].me, p[r].fresh, p[r].peer)
  }
  atomic {                                     /* "join": it proves itself first; "Counting guesses": and counts before it does */
    leftJ[p[r].me] > 0;
#ifndef NO_JOINER_COUNT
    leftJ[p[r].me]--;
#endif
    receive(p[r].nI, p[I1].said, I1, p[I2].said, I2);
    receiveShare(r, p[r].ya, p[I1].said, I1, p[I2].said, I2);
    printf("%e on %e: reply to hello, nonce %e, share %e; sends join\n", r, p[r].me, p[r].nI, p[r].ya);
    if :: p[r].ya == E && p[r].fresh -> guess(guessesJ[p[r].me]) :: else fi;
    p[r].sent = 1; n = 1;
    if :: hasKey(r) -> goto over :: else fi
  }
  do                                           /* "join", "result", "done": the replies */
  :: atomic {
       if :: reply(I1) -> e = I1 :: reply(I2) -> e = I2 :: reply(J1) -> e = J1 :: reply(J2) -> e = J2 fi;
       printf("%e on %e: reply %d of %e\n", r, p[r].me, n, e);
       if
       :: n == 1 -> p[r].with = e; leftJ[p[r].me]++; agree(r, e)
       :: n == 2 -> agree(r, e); b = p[e].page0; flip(b); p[r].page0 = b
       :: n == 3 -> agree(r, e); b = p[e].page1; flip(b); p[r].page1 = b;
#ifndef NO_SET_DIGEST                          /* "result": the checks before anything is stored */
          if :: p[r].page0 != p[r].page1 -> goto over :: else fi;
#endif
          printf("%e on %e: stores the set, versions %d and %d\n", r, p[r].me, p[r].page0, p[r].page1);
          assert(!p[r].fresh || p[r].page0 == p[r].page1 && eq(r, e, page0)) /* AGREEMENT on the member set */
       :: n == 4 -> agree(r, e);
#ifdef HONEST
          assert(!p[r].fresh);                 /* no claim: shows that an honest join succeeds */
#endif
          break
       fi;
       n++; p[r].sent = n; e = 0; b = 0
     }
  od;
over: skip
}

init {
  atomic {
    run initiator(I1); run joiner(J1);
#ifndef ONE_INITIATOR
    run initiator(I2);
#endif
#ifndef ONE_JOINER
    run joiner(J2)
#endif
  }
}
