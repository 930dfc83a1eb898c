<?php

require __DIR__ . '/vendor/autoload.php';

echo Example\Greeter::greet('world'), "\n";
