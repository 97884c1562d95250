module github.com/tcpwhy/tcpwhy/bench/gen

go 1.26.0
