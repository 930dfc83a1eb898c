<?php

namespace Example;

class Greeter
{
    public static function greet(string $who): string
    {
        return "hello, $who";
    }
}
