module github.com/tcpwhy/tcpwhy/bench/limits/golimit

go 1.26.0
