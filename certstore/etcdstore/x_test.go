package etcdstore_test

import _ "go.etcd.io/etcd/server/v3/embed"
import _ "github.com/stretchr/testify/require"
import _ "go.uber.org/goleak"
