const fahrenheit = (celsius) => (celsius * 9) / 5 + 32;

for (const celsius of [0, 100]) {
  console.log(`${celsius} °C is ${fahrenheit(celsius)} °F`);
}
