<?php
// PHP's own server, as recorders.py has it for others.

$latin = fn($text) => iconv('ISO-8859-1', 'UTF-8', $text);
$write = fn($entry) => file_put_contents(getenv('RECORD'), json_encode($entry) . "\n", FILE_APPEND);

$path = rawurldecode(explode('?', $_SERVER['REQUEST_URI'])[0]);
$headers = [];
foreach ($_SERVER as $name => $value) {
    if (preg_match('/^(HTTP_|REMOTE_|AUTH_|PHP_AUTH|SSL_|CONTENT_)/', $name)) {
        $headers[] = [$latin($name), $latin((string) $value)];
    }
}
$write(['method' => $_SERVER['REQUEST_METHOD'], 'path' => $latin($path), 'headers' => $headers]);
$body = file_get_contents('php://input');
if ($body !== '') {
    $write(['body' => $latin($body)]);
}
echo $path === '/public' || str_starts_with($path, '/public/') ? 'PUBLIC' : 'SECRET';
