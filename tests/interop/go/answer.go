package main

import (
	"strconv"
	"strings"
	"time"

	pb "interop/gen/ottoscaler/v1"
)

// Counts an answer that is final.
func (total *summary) count(response *pb.LogResponse) {
	if response.Status == pb.LogResponse_DROP {
		total.Dropped[part(response.Message, "reason")]++
	} else {
		total.Acked++
	}
}

// Counts an answer that asks for another try, and says when that is welcome.
func (total *summary) retry(response *pb.LogResponse) time.Duration {
	total.Retried[part(response.Message, "reason")]++
	delay, err := strconv.Atoi(part(response.Message, "retry_after_ms"))
	if err != nil {
		delay = 1000
	}
	return time.Duration(delay) * time.Millisecond
}

// One part of a message such as reason=queue_full;retry_after_ms=50.
func part(message, name string) string {
	for _, field := range strings.Split(message, ";") {
		if value, found := strings.CutPrefix(field, name+"="); found {
			return value
		}
	}
	return ""
}
