# For fingers that expect make: `make X` is `./dev X`.
.PHONY: all deps build run demo test bench san lint format fuzz docs deb clean
all: build
deps build run demo test bench san lint format fuzz docs deb clean:
	@./dev $@
