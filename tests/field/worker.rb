# Saves its work for a second once it is asked, and says each row.
$stdout.sync = true
asked = false
trap('TERM') { asked = true }
puts 'ready'
sleep 0.05 until asked
5.times { |n| puts "row #{n}"; sleep 0.2 }
puts 'saved'
